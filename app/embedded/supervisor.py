"""The supervisor of `taskledger up`: starts every part in order, keeps each running, stops them in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import TYPE_CHECKING

from app.domain.errors import ConfigurationError, TaskledgerError
from app.embedded.broker import PARTITIONS, broker
from app.embedded.child import Child, ChildError, Program
from app.embedded.database import database
from app.embedded.home import Endpoints, Home, free_port, port_problem
from app.embedded.jars import cache_folder, fetch_jars
from app.settings import environment_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from app.embedded.terminal import Terminal
    from app.settings import Settings

START_SECONDS = 180.0
STOP_SECONDS = {"provision": 1.0, "web": 4.0, "worker": 4.0, "kafka": 5.0, "postgres": 5.0}
"""The last two stop together, so all of it stays below 15 s."""
STOP_ORDER = (("provision",), ("web",), ("worker",), ("kafka", "postgres"))
SETTLED_SECONDS = 30.0
QUICK_DEATHS = 5
FIRST_DELAY_SECONDS = 0.5
WORKER_NICENESS = 5
"""On one machine people wait for commands and queries; what the worker makes of them may come a moment later."""
REFUSED = 2
"""Exit code of a Taskledger process that finds its configuration unusable: starting it again is no use."""


def up(settings: Settings, environ: Mapping[str, str], terminal: Terminal) -> None:
    """Run every part until SIGINT, SIGTERM or SIGHUP asks to stop.

    Raises ConfigurationError when this home, port or network cannot be used, and ChildError when a
    part does not get ready or keeps dying; nothing is left running in either case.
    """
    # Until the event loop takes over, SIGTERM unwinds as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Asking whether Kafka is there yet is this process's only use of the client, which logs every no.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    home = Home(settings.home)
    home.prepare()
    with home.lock():
        for name in home.processes.stop_leftovers():
            terminal.say(f"Stopped {name}, which an earlier run had left behind.")
        problem = port_problem(settings.host, settings.port)
        if problem:
            raise ConfigurationError(
                f"Port {settings.port} of {settings.host} cannot be used ({problem}): "
                "stop the program that has it, or choose another with --port."
            )
        jars = [] if settings.kafka else fetch_jars(cache_folder(), terminal.console)
        asyncio.run(_Supervisor(settings, environ, home, jars, terminal).run())


class _Supervisor:
    def __init__(
        self, settings: Settings, environ: Mapping[str, str], home: Home, jars: list[Path], terminal: Terminal
    ) -> None:
        self._settings = settings
        self._environ = dict(environ)
        self._home = home
        self._jars = jars
        self._terminal = terminal
        self._children: dict[str, Child] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._failure: TaskledgerError | None = None
        self._work: asyncio.Task[None] | None = None

    async def run(self) -> None:
        work = self._work = asyncio.create_task(self._start_and_stay())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup wants it
                asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        try:
            await asyncio.wait([work])
        finally:
            await self._stop()
        if self._failure:
            raise self._failure
        if not work.cancelled():
            await work

    async def _start_and_stay(self) -> None:
        settings, say = self._settings, self._terminal.say
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        say(f"Starting Taskledger in {self._home.path}")
        await self._bring_up(self._embedded(), deadline)
        worker_port = settings.worker_port
        if port_problem(settings.host, worker_port):
            worker_port = free_port()
        self._set(
            home=self._home.path,
            port=settings.port,
            worker_port=worker_port,
            log_format="text" if settings.log_format == "auto" else settings.log_format,
        )
        await self._provision(deadline)
        services = [self._service("worker", worker_port), self._service("web", settings.port)]
        await self._bring_up(services, deadline)
        self._terminal.ready(f"http://{_reachable(settings.host)}:{settings.port}", self._home.path)
        await asyncio.Event().wait()

    def _embedded(self) -> list[Program]:
        programs = []
        kafka = postgres = None
        if self._settings.kafka is None:
            program, kafka = broker(self._home, self._jars)
            programs.append(program)
            self._set(
                kafka=kafka,
                partitions=self._settings.partitions or PARTITIONS,
                replication=self._settings.replication or 1,
            )
        if self._settings.postgres is None:
            program, postgres = database(self._home)
            programs.append(program)
            self._set(postgres=postgres)
        self._home.publish(Endpoints(kafka, postgres))
        return programs

    def _set(self, **settings: object) -> None:
        self._environ |= {environment_name(name): str(value) for name, value in settings.items()}

    def _service(self, name: str, port: int) -> Program:
        async def ready() -> bool:
            return await _is_ready(_reachable(self._settings.host), port)

        niceness = WORKER_NICENESS if name == "worker" else 0
        command = self._command(name)
        return Program(name=name, command=command, environ=self._environ, ready=ready, niceness=niceness)

    def _command(self, name: str) -> list[str]:
        # The home on the command line lets a later start recognise the process as this home's.
        return [sys.executable, "-m", "app.cli", name, "--home", str(self._home.path)]

    async def _provision(self, deadline: float) -> None:
        async def ready() -> bool:
            return True

        program = Program(name="provision", command=self._command("provision"), environ=self._environ, ready=ready)
        child = await self._start(program)
        try:
            async with asyncio.timeout_at(deadline):
                code = await child.until_ended()
        except TimeoutError as error:
            raise ChildError(f"The topics and tables were not ready in time: the log is {child.log}.") from error
        if code:
            raise ChildError(f"The topics and tables cannot be used: the reason is above and in {child.log}.")

    async def _bring_up(self, programs: list[Program], deadline: float) -> None:
        children = await asyncio.gather(*map(self._start, programs))
        self._keepers += [asyncio.create_task(self._keep(child)) for child in children]
        await asyncio.gather(*(child.until_ready(deadline) for child in children))

    async def _start(self, program: Program) -> Child:
        child = self._children[program.name] = Child(program, self._home, self._terminal.show)
        await child.start()
        return child

    async def _keep(self, child: Child) -> None:
        """Start a child again whenever it ends, ever later; give up when it keeps ending soon."""
        clock = asyncio.get_running_loop().time
        deaths = 0
        try:
            while True:
                began = clock()
                code = await child.until_ended()
                deaths = 1 if clock() - began > SETTLED_SECONDS else deaths + 1
                if code == REFUSED or deaths > QUICK_DEATHS:
                    raise ChildError(f"{child.name} does not run: the reason is above and in {child.log}.")
                delay = FIRST_DELAY_SECONDS * 2 ** (deaths - 1)
                ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
                self._terminal.say(f"{child.name} {ended}; starting it again in {delay:g} s.")
                await asyncio.sleep(delay)
                await child.start()
        except TaskledgerError as error:
            self._failure = error
            if self._work:
                self._work.cancel()

    async def _stop(self) -> None:
        self._terminal.say("Stopping")
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for names in STOP_ORDER:
            children = [self._children[name] for name in names if name in self._children]
            await asyncio.gather(*(child.stop(STOP_SECONDS[child.name]) for child in children))
        self._terminal.say("Stopped")


def _reachable(host: str) -> str:
    """Give an address on which a server that listens on `host` can be asked from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound


async def _is_ready(host: str, port: int) -> bool:
    """Ask `/readyz`; False as long as the answer is anything but 200."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host.strip("[]"), port)
            writer.write(f"GET /readyz HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            status = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status
