"""The sandbox's memory: people, chats, updates, and a journal from which all of it comes back.

Every change is an event: written to the journal first, then applied. A restart replays the
journal, so a kill at any moment loses at most the event that was not written.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

NAME = "telbot sandbox"  # what it says it is, when asked
MESSAGE_SECONDS = 86_400  # how long Telegram keeps an update: at most 24 hours …
CALLBACK_SECONDS = 150  # … and a pressed button only this long
DEFAULT_UPDATES = ("message", "edited_message", "callback_query", "my_chat_member")

Event = dict[str, Any]
Json = dict[str, Any]


@dataclass
class Person:
    """Somebody with a Telegram account, seen from the bot."""

    id: int
    first_name: str
    language_code: str = "en"
    username: str = ""
    started: bool = False
    blocked: bool = False
    deactivated: bool = False

    def user(self) -> Json:
        """The Bot API's User."""
        made: Json = {"id": self.id, "is_bot": False, "first_name": self.first_name}
        if self.username:
            made["username"] = self.username
        if self.language_code:
            made["language_code"] = self.language_code
        return made

    def chat(self) -> Json:
        """The Bot API's Chat."""
        made: Json = {"id": self.id, "first_name": self.first_name}
        if self.username:
            made["username"] = self.username
        return made | {"type": "private"}


@dataclass
class Callback:
    """A pressed button that waits for its answer."""

    id: str
    person_id: int
    message_id: int
    at: float
    answer: Json | None = None


@dataclass
class World:
    """Everything the sandbox knows. All methods run in one thread."""

    journal: Path | None = None
    token: str = "1:sandbox"
    open: bool = False  # unknown positive chat ids become started people on first contact
    clock: Callable[[], float] = time.time
    people: dict[int, Person] = field(default_factory=dict)
    messages: dict[int, list[Json]] = field(default_factory=dict)  # per chat, oldest first
    updates: list[tuple[float, Json]] = field(default_factory=list)  # (kept until, update)
    callbacks: dict[str, Callback] = field(default_factory=dict)
    webhook: Json = field(default_factory=dict)
    commands: dict[str, list[Json]] = field(default_factory=dict)
    allowed_updates: list[str] = field(default_factory=lambda: [*DEFAULT_UPDATES])
    limits: bool = True
    changed: list[Callable[[int | None], None]] = field(default_factory=list)
    last_message_id: int = 0
    last_update_id: int = 0
    _file: TextIO | None = None

    def __post_init__(self) -> None:
        if self.journal is None:
            return
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        if self.journal.exists():
            self._replay(self.journal)
        self._file = self.journal.open("a", encoding="utf-8")

    def _replay(self, path: Path) -> None:
        kept = 0
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # the process was killed while it wrote this one
                self._apply(json.loads(line))
                kept += len(line)
        if kept < path.stat().st_size:
            with path.open("r+b") as file:
                file.truncate(kept)

    def close(self) -> None:
        """Let go of the journal."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def record(self, event: str, **data: Any) -> None:
        """Write one event to the journal, apply it, and tell whoever listens."""
        entry: Event = {"event": event, "at": self.clock(), **data}
        if self._file is not None:
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self._file.flush()
        self._apply(entry)
        for listener in self.changed:
            listener(data.get("chat_id"))

    def _apply(self, event: Event) -> None:
        getattr(self, f"_on_{event['event']}")(event)

    # --- events -----------------------------------------------------------------------------

    def _on_people(self, event: Event) -> None:
        for person in event["people"]:
            self.people[person["id"]] = Person(**person)

    def _on_message(self, event: Event) -> None:
        message = dict(event["message"])  # queued updates keep the message as it was
        self.messages.setdefault(event["chat_id"], []).append(message)
        self.last_message_id = max(self.last_message_id, message["message_id"])

    def _on_edit(self, event: Event) -> None:
        stored = self.find_message(event["chat_id"], event["message"]["message_id"])
        if stored is not None:
            stored.clear()
            stored.update(event["message"])

    def _on_update(self, event: Event) -> None:
        update = event["update"]
        keep = CALLBACK_SECONDS if "callback_query" in update else MESSAGE_SECONDS
        self.updates.append((event["at"] + keep, update))
        self.last_update_id = max(self.last_update_id, update["update_id"])

    def _on_confirm(self, event: Event) -> None:
        below, only = event.get("below"), event.get("only")
        self.updates = [
            (until, update)
            for until, update in self.updates
            if (below is None or update["update_id"] >= below) and update["update_id"] != only
        ]

    def _on_callback(self, event: Event) -> None:
        self.callbacks[event["id"]] = Callback(
            event["id"], event["chat_id"], event["message_id"], event["at"]
        )

    def _on_answer(self, event: Event) -> None:
        if event["id"] in self.callbacks:
            self.callbacks[event["id"]].answer = event["answer"]

    def _on_webhook(self, event: Event) -> None:
        self.webhook = event["webhook"]

    def _on_commands(self, event: Event) -> None:
        self.commands[event["key"]] = event["commands"]

    def _on_flags(self, event: Event) -> None:
        self.open = event.get("open", self.open)
        self.limits = event.get("limits", self.limits)

    def _on_allowed(self, event: Event) -> None:
        self.allowed_updates = event["allowed"] or [*DEFAULT_UPDATES]

    # --- reading ----------------------------------------------------------------------------

    @property
    def bot_id(self) -> int:
        """The number before the colon of the token."""
        return int(self.token.partition(":")[0])

    def bot_user(self) -> Json:
        """The bot as a User."""
        return {
            "id": self.bot_id,
            "is_bot": True,
            "first_name": "telbot",
            "username": "telbot_sandbox_bot",
        }

    def find_message(self, chat_id: int, message_id: int) -> Json | None:
        """One stored message, newest looked at first."""
        for message in reversed(self.messages.get(chat_id, [])):
            if message["message_id"] == message_id:
                return message
        return None

    def pending(self) -> list[Json]:
        """Updates not yet confirmed and not too old, in order."""
        now = self.clock()
        self.updates = [(until, update) for until, update in self.updates if until > now]
        return [update for _, update in self.updates]

    # --- what people do ---------------------------------------------------------------------

    def add_people(self, people: Iterable[Person]) -> None:
        """Create or change people, many at once."""
        self.record("people", people=[asdict(person) for person in people])

    def change(self, person: Person, **changes: Any) -> Person:
        """Change one person and return the new state."""
        self.add_people([Person(**{**asdict(person), **changes})])
        return self.people[person.id]

    def say(self, person: Person, text: str, entities: list[Json]) -> Json:
        """A person writes to the bot; whoever writes has started it, and unblocked it too."""
        if person.blocked:
            person = self.set_blocked(person, blocked=False)
        if not person.started:
            person = self.change(person, started=True)
        message = self._message(person, person.user(), text=text, entities=entities)
        self.record("message", chat_id=person.id, message=message)
        self.add_update("message", message)
        return message

    def press(self, person: Person, message: Json, data: str) -> str:
        """A person presses a button; returns the id of the callback query."""
        callback_id = str((person.id << 32) + len(self.callbacks) + 1)
        self.record("callback", id=callback_id, chat_id=person.id, message_id=message["message_id"])
        query = {
            "id": callback_id,
            "from": person.user(),
            "message": dict(message),
            "chat_instance": str(-person.id),
            "data": data,
        }
        self.add_update("callback_query", query)
        return callback_id

    def set_blocked(self, person: Person, *, blocked: bool) -> Person:
        """Block or unblock the bot; the bot hears of it, as in private chats it does."""
        if person.blocked == blocked:
            return person
        status = ({"status": "member"}, {"status": "kicked", "until_date": 0})
        person = self.change(person, blocked=blocked)
        membership = {
            "chat": person.chat(),
            "from": person.user(),
            "date": int(self.clock()),
            "old_chat_member": {"user": self.bot_user(), **status[not blocked]},
            "new_chat_member": {"user": self.bot_user(), **status[blocked]},
        }
        self.add_update("my_chat_member", membership)
        return person

    # --- what the bot does ------------------------------------------------------------------

    def _message(self, person: Person, sender: Json, **content: Any) -> Json:
        head = {
            "message_id": self.last_message_id + 1,
            "from": sender,
            "chat": person.chat(),
            "date": int(self.clock()),
        }
        return head | {key: value for key, value in content.items() if value not in (None, [])}

    def send(self, person: Person, **content: Any) -> Json:
        """The bot writes to a person."""
        message = self._message(person, self.bot_user(), **content)
        self.record("message", chat_id=person.id, message=message)
        return message

    def edit(self, chat_id: int, message: Json, **changes: Any) -> Json:
        """The bot changes a message of its own; None takes a field away."""
        edited = message | changes | {"edit_date": int(self.clock())}
        edited = {key: value for key, value in edited.items() if value not in (None, [])}
        self.record("edit", chat_id=chat_id, message=edited)
        return edited

    def add_update(self, kind: str, content: Json) -> None:
        """Queue an update for the bot, if it wants this kind."""
        if kind in self.allowed_updates:
            update = {"update_id": max(self.last_update_id, 100_000) + 1, kind: content}
            self.record("update", update=update)

    def confirm(self, *, below: int | None = None, only: int | None = None) -> None:
        """Forget updates the bot has taken."""
        if any(
            (below is not None and u["update_id"] < below) or u["update_id"] == only
            for _, u in self.updates
        ):
            self.record("confirm", below=below, only=only)

    def reset(self) -> None:
        """Forget everybody and everything, also on disk."""
        if self._file is not None:
            self._file.truncate(0)
        for store in (self.people, self.messages, self.updates, self.callbacks, self.commands):
            store.clear()
        self.webhook = {}
        for listener in self.changed:
            listener(None)
