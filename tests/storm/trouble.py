"""What goes wrong: processes are killed and started again, GitHub fails; what it could not deliver"""

import random
import threading
import time
from collections import Counter

from app.webhook import is_acted_on
from tests.simulator import Simulator, faults
from tests.simulator.bot import Bot, NotReady

SHARE = 0.1
FAULTS: tuple[faults.Fault, ...] = (
    faults.server_error(500),
    faults.server_error(502),
    faults.server_error(502, after_write=True),
    faults.primary_limit(1),
    faults.secondary_limit(403, 1),
    faults.secondary_limit(429, 1),
    faults.timeout(2.0),
    faults.timeout(2.0, after_write=True),
    faults.reset(),
    faults.reset(after_write=True),
)
PARTS = ("web", "worker", "valkey", "worker-2")
LONGEST_DOWN = 1.5


class Killer:
    """`kill -9` at random moments, each process started again soon after; what ends by itself is started again too."""

    def __init__(self, bot: Bot, seed: int, *, kills: int, seconds: float) -> None:
        self._bot, self._luck = bot, random.Random(f"{seed} kills")
        share = seconds / max(kills, 1)
        self._moments = [(index + self._luck.random()) * share for index in range(kills)]
        self._victims = [PARTS[index % len(PARTS)] for index in range(kills)]
        self._luck.shuffle(self._victims)
        self.killed: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer")

    def __enter__(self) -> "Killer":
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """End, with every process running."""
        self._stop.set()
        self._thread.join()

    @property
    def is_done(self) -> bool:
        """Whether everybody was killed who was to be."""
        return self.killed.total() == len(self._moments)

    def _run(self) -> None:
        began = time.monotonic()
        for moment, victim in zip(self._moments, self._victims, strict=True):
            while time.monotonic() < began + moment and not self._stop.is_set():
                self._watch()
                time.sleep(0.05)
            self._kill(victim)
        while not self._stop.is_set():
            self._watch()
            time.sleep(0.05)

    def _kill(self, victim: str) -> None:
        self._watch()
        self._bot.kill(victim, with_children=self._luck.random() < 0.5)
        self.killed[victim] += 1
        time.sleep(self._luck.uniform(0.0, LONGEST_DOWN))
        self._start(victim)

    def _watch(self) -> None:
        for name in self._bot.ended():
            self.ended[name] += 1
            self._start(name)

    def _start(self, name: str) -> None:
        try:
            self._bot.start(name)
        except NotReady:  # the store answers not yet, or another process ended meanwhile: it is started by `_watch`
            time.sleep(0.1)


def outstanding(github: Simulator) -> int:
    """How many deliveries never arrived that the bot does anything on. Nobody but itself presses "Redeliver"."""
    every = {each.guid for each in github.deliveries if is_acted_on(each.event, each.action)}
    return len(every - {each.guid for each in github.deliveries if not each.failed})


def redelivered(github: Simulator) -> int:
    """How many the bot had sent again."""
    return sum(
        call.method == "POST" and call.path.startswith("/app/hook/deliveries/") and call.status == 202
        for call in github.calls
    )


def dead_letters_and_waiting(metrics: str) -> tuple[int, int]:
    """From the bot's `/metrics`; -1 where the store did not answer."""
    found = {"mlstaff_dead_letters": -1, "mlstaff_queue_subjects": -1}
    for line in metrics.splitlines():
        name, _, value = line.partition(" ")
        if name in found:
            found[name] = int(float(value))
    return found["mlstaff_dead_letters"], found["mlstaff_queue_subjects"]
