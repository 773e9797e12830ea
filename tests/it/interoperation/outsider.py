"""Programs of somebody else, written from docs/outside-workers.md alone: a producer, a worker, and one that reads dead letters.

Each is run as `outsider.py URL ROLE ...` and prints a line of JSON when it is done.
"""

import datetime
import json
import sys
import uuid

import pika


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")


def envelope(event_type, payload, correlation_id=None):
    return {
        "contractVersion": "1.0.0",
        "eventType": event_type,
        "eventId": str(uuid.uuid4()),
        "occurredAt": now(),
        "producer": {"service": "outsider", "instanceId": "outsider-1", "version": "0.0.1"},
        "correlationId": correlation_id or str(uuid.uuid4()),
        "idempotencyKey": payload["id"],
        "payload": payload,
    }


def publish(channel, queue, body):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    properties = pika.BasicProperties(content_type="application/json", delivery_mode=2)
    channel.basic_publish("", queue, body, properties, mandatory=True)


def produce(channel, count):
    channel.queue_declare("jobs.created", durable=True)
    channel.confirm_delivery()
    ids = []
    for number in range(count):
        job = {"id": str(uuid.uuid4()), "type": "noop", "status": "PENDING", "createdAt": now(), "metadata": {"number": number}}
        event = envelope("job.created", job)
        publish(channel, "jobs.created", event)
        # As after a connection that was lost before the confirmation came.
        publish(channel, "jobs.created", event)
        ids.append(job["id"])
    publish(channel, "jobs.created", b"{ no JSON")
    publish(channel, "jobs.created", {**envelope("job.created", {"id": str(uuid.uuid4())}), "correlationId": "none"})
    print(json.dumps(ids), flush=True)


def letters(channel, count):
    channel.queue_declare("jobs.failed.validation", durable=True)
    found = []
    for method, _, body in channel.consume("jobs.failed.validation", inactivity_timeout=60):
        assert method is not None, "no dead letter came"
        found.append(json.loads(body))
        channel.basic_ack(method.delivery_tag)
        if len(found) == count:
            break
    channel.cancel()
    print(json.dumps(found), flush=True)


def work(channel, queue, outcomes):
    channel.confirm_delivery()
    channel.basic_qos(prefetch_count=5)
    done = []
    for method, _, body in channel.consume(queue, inactivity_timeout=60):
        assert method is not None, "no job came"
        job = json.loads(body)
        payload, correlation = job["payload"], job["correlationId"]
        if "callboard" not in payload["metadata"]:
            raise AssertionError("a job without attempt and token: " + json.dumps(payload))
        attempt = payload["metadata"]["callboard"]["attempt"]
        publish(channel, "callboard.outcomes", envelope("job.executed", payload, correlation))
        numbers = payload["payload"]["numbers"]
        if payload["payload"].get("fails") and attempt == 1:
            outcome = envelope("job.failed", {**payload, "error": "not the first time"}, correlation)
        else:
            outcome = envelope("job.completed", {**payload, "result": {"sum": sum(numbers)}}, correlation)
        publish(channel, "callboard.outcomes", outcome)
        # Said again, as after a connection that was lost before the confirmation came.
        publish(channel, "callboard.outcomes", outcome)
        channel.basic_ack(method.delivery_tag)
        done.append([payload["id"], attempt])
        if len(done) == outcomes:
            break
    channel.cancel()
    print(json.dumps(done), flush=True)


def main():
    url, role, *arguments = sys.argv[1:]
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    if role == "produce":
        produce(channel, int(arguments[0]))
    elif role == "letters":
        letters(channel, int(arguments[0]))
    elif role == "work":
        work(channel, arguments[0], int(arguments[1]))
    connection.close()


main()
