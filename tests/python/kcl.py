"""Workers of the Kinesis Client Library, and what their record processors write down."""

import json
import os
import signal
import subprocess
import sys
import time

import clients

DAEMON = "software.amazon.kinesis.multilang.MultiLangDaemon"
# Without it the daemon logs every byte that it sends.
LOGBACK = """<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d [%t] %-5level %logger{36} - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
"""
# The program of each shard, and short intervals: the library waits for up to a minute. Workers that share a machine report the
# same load, so these are balanced by the bytes that they process.
TEST_PROPERTIES = {
    "executableName": f"{sys.executable} {clients.TESTS / 'python' / 'processor.py'}",
    "shardSyncIntervalMillis": 1000,
    "leaseAssignmentIntervalMillis": 1000,
    "workerMetricsReporterFreqInMillis": 2000,
    "disableWorkerMetrics": "true",
    "parentShardPollIntervalMillis": 500,
    "idleTimeBetweenReadsInMillis": 250,
}
# Soon started rather than fast, and small.
JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m"]


class Worker:
    """A MultiLangDaemon with these properties, and the processors that it starts."""

    def __init__(self, name, folder, properties, variables):
        self.name, self.log = name, folder / f"{name}.log"
        mine = {**TEST_PROPERTIES, "workerIdentifier": name}
        # Of two lines with one name the last one counts.
        lines = [properties, *(f"{key} = {value}\n" for key, value in mine.items())]
        path, logback = folder / f"{name}.properties", folder / "logback.xml"
        path.write_text("".join(lines))
        logback.write_text(LOGBACK)
        command = [*JAVA, "-cp", clients.jar_folder() / "*", DAEMON, "--properties-file", path, "--log-configuration", logback]
        variables = clients.environment(variables | {"EVENTS": str(folder / "events"), "WORKER": name})
        with self.log.open("wb") as log:
            more = {"stdout": log, "stderr": subprocess.STDOUT, "start_new_session": True}
            self.process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, **more)

    def tail(self):
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-60:]
        return "\n".join([f"--- {self.name}, exit status {self.process.poll()}:", *lines])

    def kill(self):
        """With its processors, which are in its process group."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Fleet:
    """The workers of an application, and the events of all their processors in their order."""

    def __init__(self, folder, properties, variables):
        self.folder, self.properties, self.variables = folder, properties, variables
        self.path = folder / "events"
        self.path.touch()
        self.workers, self.events, self.read = [], [], 0

    def add(self, name):
        self.workers.append(Worker(name, self.folder, self.properties, self.variables))

    def look(self):
        """Takes in the lines that have come since, but for one that is not whole yet."""
        with self.path.open("rb") as file:
            file.seek(self.read)
            whole, end, _ = file.read().rpartition(b"\n")
        self.read += len(whole) + len(end)
        self.events += map(json.loads, whole.splitlines())

    def wait(self, what, is_so, check):
        """Until this is so of the events. `check` says meanwhile that it still can be."""
        deadline = time.monotonic() + clients.PATIENCE_S
        while True:
            self.look()
            if is_so(self.events):
                return
            check()
            dead = [worker for worker in self.workers if worker.process.poll() is not None]
            if dead or time.monotonic() > deadline:
                tails = "\n".join(worker.tail() for worker in self.workers)
                raise AssertionError(f"waited for {what}; the last events: {self.events[-5:]}\n{tails}")
            time.sleep(0.2)

    def kill(self):
        for worker in self.workers:
            worker.kill()
