// Submits a job to a Callboard server and waits for its end, with nothing but Node (18 or newer) and what the server says of itself.
//
//     node examples/clients/submit.mjs http://127.0.0.1:8080 sleep '{"ms": 250}'
//
// Which requests there are, and what a job's payload must be like, is read from the server's /openapi.json. A token, if the server wants
// one, is read from the variable CALLBOARD_TOKEN. The exit code is 0 if the job was completed.

import { randomUUID } from "node:crypto";

const FINAL = ["completed", "cancelled", "discarded"];

/** What the server says is wrong: application/problem+json below /api/, and {"error": …} elsewhere. */
class Refused extends Error {
  constructor(problem) {
    const errors = (problem.errors ?? []).map(({ pointer, message }) => `${pointer}: ${message}`).join("; ");
    super(problem.error ?? `${problem.title}: ${errors || problem.detail}`);
    this.problem = problem;
  }
}

/** The operations of a server, by the ids that its OpenAPI document gives them. */
class Callboard {
  constructor(url, token) {
    this.url = url.replace(/\/$/, "");
    this.headers = token ? { authorization: `Bearer ${token}` } : {};
  }

  async open() {
    this.document = await this.request("GET", "/openapi.json");
    this.operations = new Map();
    for (const [path, methods] of Object.entries(this.document.paths)) {
      for (const [method, { operationId }] of Object.entries(methods)) {
        if (operationId) this.operations.set(operationId, [method.toUpperCase(), path]);
      }
    }
    return this;
  }

  /** Carries out an operation; `parameters` are those of its path. */
  call(operation, { body, ...parameters } = {}) {
    const [method, path] = this.operations.get(operation);
    return this.request(method, path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(parameters[name])), body);
  }

  /** The JSON Schema of a job type's payload. */
  payloadOf(jobType) {
    return this.document.components.schemas[`Payload.${jobType}`];
  }

  async request(method, path, body) {
    const headers = { ...this.headers, ...(body && { "content-type": "application/json" }) };
    const signal = AbortSignal.timeout(30_000);
    const answer = await fetch(this.url + path, { method, headers, signal, body: body && JSON.stringify(body) });
    const value = await answer.json();
    if (!answer.ok) throw new Refused(value);
    return value;
  }
}

async function main(url, jobType, payload = "{}") {
  const server = await new Callboard(url, process.env.CALLBOARD_TOKEN).open();
  const schema = server.payloadOf(jobType);
  if (schema) console.log(`${jobType} takes ${Object.keys(schema.properties ?? {}).join(", ") || "nothing"}`);
  // With an id of its own the request can be sent again if its answer is lost.
  const job = { id: randomUUID(), type: jobType, payload: JSON.parse(payload) };
  await server.call("submitJob", { body: job });
  let found;
  while (!FINAL.includes((found = await server.call("getJob", { id: job.id })).state)) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  console.log(`${found.id} is ${found.state}`);
  return found.state === "completed" ? 0 : 1;
}

try {
  process.exitCode = await main(...process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
