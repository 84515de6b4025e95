"""Locust has no WebSocket user, so this is one, made with websocket-client."""

import json
import os
import struct
import time

import gevent
from locust import User, constant_pacing, events, task
from locust.exception import StopUser
from websocket import ABNF, WebSocketException, create_connection

URL = os.environ["URL"]
CLIENTS, ROOMS, PAYLOAD = (int(os.environ[name]) for name in ("CLIENTS", "ROOMS", "PAYLOAD"))
RATE, LENGTH, SETTLE, DRAIN = (float(os.environ[name]) for name in ("RATE", "LENGTH", "SETTLE", "DRAIN"))
SPREAD = os.environ["PHASE"] == "spread"

users = 0
sent = 0
start = None  # when all begin to send: a while after the last one is there


@events.spawning_complete.add_listener
def all_spawned(**_):
    global start
    start = time.time() + SETTLE


@events.quitting.add_listener
def report(environment, **_):
    stats = environment.stats.get("propagation", "WS")
    figures = {
        "sent": sent,
        "received": stats.num_requests,
        "p50_ms": stats.get_response_time_percentile(0.5),
        "p99_ms": stats.get_response_time_percentile(0.99),
    }
    with open(os.environ["OUT"] + ".report.json", "w") as file:
        json.dump(figures, file)


class Client(User):
    wait_time = constant_pacing(1 / RATE if RATE else 1)

    def on_start(self):
        global users
        self.number = users
        users += 1
        self.left = round(RATE * LENGTH) if RATE else None
        self.socket = create_connection(f"{URL}/r{self.number % ROOMS}")
        self.reader = gevent.spawn(self.read)
        while start is None:
            gevent.sleep(0.01)
        offset = self.number / CLIENTS / RATE if SPREAD and RATE else 0
        gevent.sleep(max(0, start + offset - time.time()))

    def read(self):
        try:
            while frame := self.socket.recv():
                latency = time.time() - struct.unpack_from("d", frame)[0]
                events.request.fire(
                    request_type="WS",
                    name="propagation",
                    response_time=latency * 1000,
                    response_length=len(frame),
                    exception=None,
                    context={},
                )
        except (OSError, WebSocketException):
            pass  # closed at the end

    @task
    def edit(self):
        global sent
        if self.left == 0 or time.time() >= start + LENGTH:
            gevent.sleep(start + LENGTH + DRAIN - time.time())
            raise StopUser
        if RATE:
            self.left -= 1
            self.socket.send(struct.pack("d", time.time()).ljust(PAYLOAD, b"x"), ABNF.OPCODE_BINARY)
            sent += 1

    def on_stop(self):
        self.reader.kill()
        self.socket.close()
