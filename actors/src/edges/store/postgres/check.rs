//! Looking for what must not be. What a page or an index has come to, PostgreSQL's own tools say.

use sqlx::{Connection, PgConnection};

use crate::edges::store::transfer::Check;

/// Statements that find what must not be; each row is a problem, in words. At most `$1` of them.
const RULES: [(&str, &str); 16] = [
    (
        "totals",
        "SELECT format('queue %s, state number %s: the total is %s, and %s jobs are there', queue, state, kept, found)
         FROM (SELECT queue, state, sum(kept) AS kept, sum(found) AS found
               FROM (SELECT queue, state, count AS kept, 0 AS found FROM totals
                     UNION ALL SELECT queue, state, 0, count(*) FROM jobs GROUP BY queue, state) AS each
               GROUP BY queue, state) AS counted
         WHERE CASE WHEN state < 5 THEN kept <> found ELSE kept < found END LIMIT $1",
    ),
    (
        "jobs",
        "SELECT format('the job %s is not whole: one of its two rows is missing', coalesce(jobs.id, job_bodies.id))
         FROM jobs FULL JOIN job_bodies USING (id, sequence, type, queue)
         WHERE jobs.state IS NULL OR job_bodies.payload IS NULL LIMIT $1",
    ),
    (
        "attempts",
        "SELECT format('the attempt with token %s is of a job that is not there: %s', token, job)
         FROM attempts WHERE NOT EXISTS (SELECT FROM jobs WHERE jobs.id = attempts.job) LIMIT $1",
    ),
    (
        "reports",
        "SELECT format('what the run with token %s has said is of a job, or of a run, that is not there: %s', token, job)
         FROM ((SELECT job, token FROM attempt_reports WHERE NOT EXISTS (SELECT FROM jobs WHERE jobs.id = attempt_reports.job)
                LIMIT $1)
               UNION ALL
               (SELECT DISTINCT job, token FROM attempt_log
                WHERE NOT EXISTS (SELECT FROM attempt_reports AS run
                                  WHERE run.job = attempt_log.job AND run.token = attempt_log.token) LIMIT $1)) AS lost
         LIMIT $1",
    ),
    (
        "edits",
        "SELECT format('what was changed in the job %s is of two jobs that are not there', replay)
         FROM job_edits WHERE NOT EXISTS (SELECT FROM jobs WHERE jobs.id = job_edits.replay)
            AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = job_edits.original) LIMIT $1",
    ),
    (
        "signals",
        "SELECT format('the signal %s is of a job that is not there: %s', number, job)
         FROM job_signals WHERE NOT EXISTS (SELECT FROM jobs WHERE jobs.id = job_signals.job) LIMIT $1",
    ),
    (
        "log",
        "SELECT format('after position %s comes %s', last, next)
         FROM (SELECT first_position + size - 1 AS last, lead(first_position) OVER (ORDER BY first_position) AS next
               FROM event_batches WHERE first_position IS NOT NULL) AS places
         WHERE next <> last + 1 LIMIT $1",
    ),
    (
        "log's batches",
        "SELECT format('batch %s has %s events instead of %s', batch, found, size)
         FROM (SELECT coalesce(whole.batch, events.batch) AS batch, count(events.number) AS found,
                      coalesce(max(whole.size), 0) AS size
               FROM event_batches AS whole FULL JOIN events ON events.batch = whole.batch
               GROUP BY coalesce(whole.batch, events.batch)) AS batches
         WHERE found <> size LIMIT $1",
    ),
    (
        "log's end",
        "SELECT format('the newest event is at %s, and the log says %s', newest, position)
         FROM log, (SELECT max(first_position + size - 1) AS newest FROM event_batches) AS batches
         WHERE newest <> position LIMIT $1",
    ),
    (
        "executing jobs",
        "SELECT format('the job %s runs in no open session', id)
         FROM jobs WHERE state = 3 AND session IS DISTINCT FROM 'ffffffff-ffff-ffff-ffff-ffffffffffff'
             AND NOT EXISTS (SELECT FROM sessions WHERE sessions.id = jobs.session AND closed_at IS NULL) LIMIT $1",
    ),
    (
        "attempts outside",
        "SELECT format('the job %s is with a worker outside for ever', id)
         FROM jobs WHERE state = 3 AND session = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
             AND NOT EXISTS (SELECT FROM outside_attempts AS lent WHERE lent.job = jobs.id AND lent.token = jobs.token)
         LIMIT $1",
    ),
    (
        "states",
        "SELECT format('the job %s is in state number %s %s an end', id, state,
                       CASE WHEN finished_at IS NULL THEN 'without' ELSE 'with' END)
         FROM jobs WHERE state NOT BETWEEN 0 AND 7 OR (state >= 5) <> (finished_at IS NOT NULL) LIMIT $1",
    ),
    (
        "tokens",
        "SELECT format('the job %s is newer than the counters', id)
         FROM jobs WHERE token > coalesce(pg_sequence_last_value('lease_token'), 0)
             OR sequence > coalesce(pg_sequence_last_value('job_sequence'), 0) LIMIT $1",
    ),
    (
        "tags",
        "WITH meant AS (SELECT tag, sequence FROM job_bodies, json_array_elements_text(tags::json) AS tag
                        WHERE tags IS NOT NULL)
         (SELECT format('the job with sequence %s is not found by its tag %s', sequence, tag)
          FROM (SELECT tag, sequence FROM meant EXCEPT SELECT tag, sequence FROM job_tags) AS missing LIMIT $1)
         UNION ALL
         (SELECT format('the job with sequence %s is found by a tag that it has not: %s', sequence, tag)
          FROM (SELECT tag, sequence FROM job_tags EXCEPT SELECT tag, sequence FROM meant) AS wrong LIMIT $1)",
    ),
    (
        "workflows",
        "(SELECT format('the workflow %s does not count its steps rightly', id) FROM workflows
          CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE steps.state = 0) AS of_waiting, count(*) FILTER (WHERE steps.state = 1) AS of_active,
                   count(*) FILTER (WHERE steps.state = 2) AS of_completed, count(*) FILTER (WHERE steps.state = 3) AS of_failed,
                   count(*) FILTER (WHERE steps.state = 4) AS of_cancelled
            FROM workflow_steps AS steps WHERE steps.workflow = workflows.id) AS found
          WHERE (waiting, active, completed, failed, cancelled)
                <> (of_waiting, of_active, of_completed, of_failed, of_cancelled) LIMIT $1)
         UNION ALL
         (SELECT format('a step of the workflow %s has no job: number %s', workflow, number) FROM workflow_steps AS steps
          WHERE NOT EXISTS (SELECT FROM jobs WHERE jobs.id = steps.job) LIMIT $1)
         UNION ALL
         (SELECT format('the job %s is kept for a workflow that is not there', id) FROM jobs
          WHERE workflow IS NOT NULL AND NOT EXISTS (SELECT FROM workflows WHERE workflows.id = jobs.workflow) LIMIT $1)",
    ),
    (
        "cron",
        "SELECT format('the entry %s of the cron table does not know what it waits for', name)
         FROM cron WHERE (due_at IS NULL) <> (fires_at IS NULL) OR (paused_at IS NOT NULL AND due_at IS NOT NULL)
             OR fires_at < due_at LIMIT $1",
    ),
];

/// Looks at what the tables say of each other, as of one moment.
pub(super) async fn run(connection: &mut PgConnection) -> sqlx::Result<Vec<Check>> {
    let mut snapshot = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let mut checks = Vec::with_capacity(RULES.len());
    for (name, sql) in RULES {
        let limit = Check::SHOWN as i64;
        let problems = sqlx::query_scalar(sql).bind(limit).fetch_all(&mut *snapshot).await?;
        checks.push(Check::new(name, problems));
    }
    Ok(checks)
}
