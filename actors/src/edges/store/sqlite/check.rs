//! Looking for damage.

use rusqlite::Connection;

use crate::edges::store::transfer::Check;

/// Statements that find what must not be; each row is a problem, in words.
const RULES: [(&str, &str); 16] = [
    (
        "totals",
        "WITH counted AS (SELECT queue, state, count(*) AS count FROM jobs GROUP BY queue, state)
         SELECT 'queue ' || queue || ', state number ' || state || ': the total is ' || kept || ', and ' || found || ' jobs are there'
         FROM (SELECT queue, state, sum(kept) AS kept, sum(found) AS found
               FROM (SELECT queue, state, count AS kept, 0 AS found FROM totals
                     UNION ALL SELECT queue, state, 0, count FROM counted)
               GROUP BY queue, state)
         WHERE CASE WHEN state < 5 THEN kept <> found ELSE kept < found END",
    ),
    (
        "attempts",
        "SELECT 'the attempt with token ' || token || ' is of a job that is not there: ' || lower(hex(job))
         FROM attempts WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = attempts.job)",
    ),
    (
        "reports",
        "SELECT 'what the run with token ' || token || ' has said is of a job, or of a run, that is not there: ' || lower(hex(job))
         FROM (SELECT job, token FROM attempt_reports
               WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = attempt_reports.job)
               UNION ALL
               SELECT DISTINCT job, token FROM attempt_log
               WHERE NOT EXISTS (SELECT 1 FROM attempt_reports AS run
                                 WHERE run.job = attempt_log.job AND run.token = attempt_log.token))",
    ),
    (
        "edits",
        "SELECT 'what was changed in the job ' || lower(hex(replay)) || ' is of two jobs that are not there'
         FROM job_edits WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_edits.replay)
            AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_edits.original)",
    ),
    (
        "signals",
        "SELECT 'the signal ' || number || ' is of a job that is not there: ' || lower(hex(job))
         FROM job_signals WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_signals.job)",
    ),
    (
        "log",
        "SELECT 'after position ' || position || ' comes ' || next
         FROM (SELECT position, lead(position) OVER (ORDER BY position) AS next FROM events)
         WHERE next <> position + 1",
    ),
    (
        "log's end",
        "SELECT 'the newest event is at ' || newest || ', and the log says ' || kept
         FROM (SELECT (SELECT max(position) FROM events) AS newest,
                      (SELECT coalesce(value ->> 'position', 0) FROM settings WHERE key = 'counters') AS kept)
         WHERE newest <> kept OR (newest IS NOT NULL AND kept IS NULL)",
    ),
    (
        "executing jobs",
        "SELECT 'the job ' || lower(hex(id)) || ' runs in no open session'
         FROM jobs WHERE state = 3 AND session IS NOT x'ffffffffffffffffffffffffffffffff'
             AND NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.id = jobs.session AND closed_at IS NULL)",
    ),
    (
        "attempts outside",
        "SELECT 'the job ' || lower(hex(id)) || ' is with a worker outside for ever'
         FROM jobs WHERE state = 3 AND session = x'ffffffffffffffffffffffffffffffff'
             AND NOT EXISTS (SELECT 1 FROM outside_attempts AS lent WHERE lent.job = jobs.id AND lent.token = jobs.token)",
    ),
    (
        "states",
        "SELECT 'the job ' || lower(hex(id)) || ' is in state number ' || state ||
                CASE WHEN finished_at IS NULL THEN ' without an end' ELSE ' with an end' END
         FROM jobs WHERE state NOT BETWEEN 0 AND 7 OR (state >= 5) <> (finished_at IS NOT NULL)",
    ),
    (
        "tokens",
        "SELECT 'the job ' || lower(hex(id)) || ' is newer than the counters'
         FROM jobs, (SELECT coalesce(value ->> 'token', 0) AS token, coalesce(value ->> 'sequence', 0) AS sequence
                     FROM settings WHERE key = 'counters') AS counters
         WHERE jobs.token > counters.token OR jobs.sequence > counters.sequence",
    ),
    (
        "tags",
        "WITH meant AS (SELECT tag.value AS tag, jobs.sequence FROM jobs, json_each(jobs.tags) AS tag
                        WHERE json_valid(jobs.tags))
         SELECT 'the job with sequence ' || sequence || ' is not found by its tag ' || tag
         FROM (SELECT * FROM meant EXCEPT SELECT tag, sequence FROM job_tags)
         UNION ALL
         SELECT 'the job with sequence ' || sequence || ' is found by a tag that it has not: ' || tag
         FROM (SELECT tag, sequence FROM job_tags EXCEPT SELECT * FROM meant)",
    ),
    (
        "workflows",
        "SELECT 'the workflow ' || lower(hex(id)) || ' does not count its steps rightly' FROM workflows
         WHERE (waiting, active, completed, failed, cancelled) IS NOT
            (SELECT count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE state = 2),
                    count(*) FILTER (WHERE state = 3), count(*) FILTER (WHERE state = 4)
             FROM workflow_steps WHERE workflow = workflows.id)
         UNION ALL
         SELECT 'a step of the workflow ' || lower(hex(workflow)) || ' has no job: number ' || number FROM workflow_steps
         WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = workflow_steps.job)
         UNION ALL
         SELECT 'the job ' || lower(hex(id)) || ' is kept for a workflow that is not there' FROM jobs
         WHERE workflow IS NOT NULL AND NOT EXISTS (SELECT 1 FROM workflows WHERE workflows.id = jobs.workflow)",
    ),
    (
        "JSON",
        "SELECT 'the job ' || lower(hex(id)) || ' holds what is no JSON'
         FROM jobs WHERE NOT (json_valid(payload) AND json_valid(coalesce(metadata, '{}')) AND json_valid(coalesce(document, '{}'))
                              AND json_valid(coalesce(result, '{}')) AND json_valid(coalesce(tags, '[]')))",
    ),
    (
        "cron",
        "SELECT 'the entry ' || name || ' of the cron table ' ||
                CASE WHEN json_valid(definition) AND json_valid(firings) THEN 'does not know what it waits for'
                     ELSE 'holds what is no JSON' END
         FROM cron WHERE NOT json_valid(definition) OR NOT json_valid(firings)
             OR (due_at IS NULL) <> (fires_at IS NULL) OR (paused_at IS NOT NULL AND due_at IS NOT NULL) OR fires_at < due_at",
    ),
    (
        "epoch",
        "SELECT 'the log has no epoch' WHERE NOT EXISTS (SELECT 1 FROM settings WHERE key = 'epoch' AND value > 0)",
    ),
];

/// Looks at the file's pages and at what its tables say of each other, as of one moment.
pub(super) fn run(connection: &Connection) -> rusqlite::Result<Vec<Check>> {
    let snapshot = connection.unchecked_transaction()?;
    let pages = match problems(&snapshot, "PRAGMA integrity_check(10)") {
        Ok(found) if found == ["ok"] => Vec::new(),
        Ok(found) => {
            found.iter().flat_map(|text| text.lines()).take(Check::SHOWN).map(str::to_owned).collect()
        }
        Err(error) => vec![error.to_string()],
    };
    let whole = pages.is_empty();
    let mut checks = vec![self::pages(pages)];
    // What damaged pages say would only mislead.
    if whole {
        for (name, sql) in RULES {
            checks.push(Check::new(name, problems(&snapshot, sql)?));
        }
    }
    Ok(checks)
}

/// What is said of the file's pages.
pub(super) fn pages(problems: Vec<String>) -> Check {
    Check::new("pages and indexes", problems)
}

fn problems(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let found = statement.query_map((), |row| row.get(0))?;
    found.take(Check::SHOWN).collect()
}
