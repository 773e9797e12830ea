"""Submits a job to a Callboard server and waits for its end, with nothing but Python and what the server says of itself.

    python3 examples/clients/submit.py http://127.0.0.1:8080 sleep '{"ms": 250}'

Which requests there are, and what a job's payload must be like, is read from the server's /openapi.json. A token, if the server wants
one, is read from the variable CALLBOARD_TOKEN. The exit code is 0 if the job was completed.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

FINAL = ("completed", "cancelled", "discarded")


class Refused(Exception):
    """What the server says is wrong: application/problem+json below /api/, and {"error": …} elsewhere."""

    def __init__(self, problem):
        errors = "; ".join(f"{error['pointer']}: {error['message']}" for error in problem.get("errors", []))
        super().__init__(problem.get("error") or f"{problem['title']}: {errors or problem['detail']}")
        self.problem = problem


class Callboard:
    """The operations of a server, by the ids that its OpenAPI document gives them."""

    def __init__(self, url, token=None):
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.document = self._request("GET", "/openapi.json")
        self.operations = {
            operation["operationId"]: (method.upper(), path)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
            if "operationId" in operation
        }

    def call(self, operation, body=None, **parameters):
        """Carries out an operation; `parameters` are those of its path."""
        method, path = self.operations[operation]
        quoted = {name: urllib.parse.quote(str(value), safe="") for name, value in parameters.items()}
        return self._request(method, path.format(**quoted), body)

    def payload_of(self, job_type):
        """The JSON Schema of a job type's payload."""
        return self.document["components"]["schemas"].get(f"Payload.{job_type}")

    def _request(self, method, path, body=None):
        headers = dict(self.headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as answer:
            raise Refused(json.load(answer)) from None


def main(url, job_type, payload="{}"):
    server = Callboard(url, os.environ.get("CALLBOARD_TOKEN"))
    schema = server.payload_of(job_type)
    if schema is not None:
        print(f"{job_type} takes {', '.join(schema.get('properties', {})) or 'nothing'}")
    # With an id of its own the request can be sent again if its answer is lost.
    job = {"id": str(uuid.uuid4()), "type": job_type, "payload": json.loads(payload)}
    server.call("submitJob", job)
    while (found := server.call("getJob", id=job["id"]))["state"] not in FINAL:
        time.sleep(0.1)
    print(f"{found['id']} is {found['state']}")
    return 0 if found["state"] == "completed" else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except Refused as refused:
        sys.exit(str(refused))
