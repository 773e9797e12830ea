// graphile-worker with its fastest settings: a local queue, and completions in batches.

import { makeWorkerUtils, run, Logger } from "graphile-worker";
import pg from "pg";

import { measure, options } from "./measure.mjs";

const given = options(process.argv.slice(2));
const SCHEMA = "graphile_worker_bench";
const TASK = "noop";
/** Jobs that are fetched at a time. */
const LOCAL_QUEUE = 500;

const quiet = new Logger(() => () => {});
const pool = new pg.Pool({ connectionString: given.url, max: 70 });
// graphile-worker asks for one.
pool.on("error", (error) => console.error(error));
let utils;
let runner;

const count = async () => {
  const { rows } = await pool.query(`SELECT count(*)::int AS left FROM ${SCHEMA}._private_jobs`);
  return rows[0].left;
};

await measure(
  {
    async setUp() {
      await pool.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
      utils = await makeWorkerUtils({ pgPool: pool, schema: SCHEMA, logger: quiet });
      await utils.migrate();
    },
    enqueueOne: () => utils.addJob(TASK, {}),
    enqueueMany: (jobs) => utils.addJobs(Array.from({ length: jobs }, () => ({ identifier: TASK, payload: {} }))),
    clear: () => pool.query(`DELETE FROM ${SCHEMA}._private_jobs`),
    async start(onJob) {
      runner = await run({
        pgPool: pool,
        schema: SCHEMA,
        logger: quiet,
        noHandleSignals: true,
        taskList: { [TASK]: async () => onJob() },
        preset: {
          worker: {
            concurrentJobs: given.concurrency,
            localQueue: { size: LOCAL_QUEUE },
            completeJobBatchDelay: 0,
            failJobBatchDelay: 0,
          },
        },
      });
    },
    /** Jobs whose handler has returned are done only once they are deleted. */
    async finished() {
      while ((await count()) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    async stop() {
      await runner.stop();
      await utils.release();
      await pool.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
      await pool.end();
    },
  },
  given,
);
