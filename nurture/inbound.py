"""The bot's side of a conversation: what somebody sent, done and answered.

Somebody who is not linked learns nothing: whatever they send gets the same sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from attendance.domain.identity import is_full_email
from attendance.domain.kinds import ReviewState
from attendance.models import ClassSession
from attendance.services import IdentityError
from delivery import services as delivery
from delivery.inbound import Inbound, InboundButton, InboundMembership, InboundMessage, Reply
from delivery.models import Chat
from delivery.selectors import OWN_DATA, replies_owed
from nurture import texts
from nurture.models import Contact
from nurture.services import (
    conversation,
    learner_did,
    links,
    outlook,
    preferences,
    privacy,
    stored,
    trying,
)
from nurture.voice import Voice
from nurture.words import WORDS, language

#: What a fact of attendance is called to the learner.
_FACT_WORDS = {
    "missed": "missed", "missed_pledged": "missed", "late": "late", "left_early": "left_early",
    "partial": "partial", "attended": "attended", "first_attended": "attended",
    "returned": "attended", "kept": "attended", "pledged": "pledged", "asked": "asked",
}  # fmt: skip
STOP_WORDS = frozenset({"stop", "unsubscribe", "baja"})


def handle(inbound: Inbound, *, now: datetime) -> Sequence[Reply]:
    """Do what a person asked for, and say what to answer. Runs in the caller's transaction.

    Only in private chats, whose id is the person's own:
    https://core.telegram.org/bots/api#chat. Safe to run twice for one update.
    """
    if isinstance(inbound, InboundMembership) or inbound.chat_id != inbound.user_id:
        return ()
    chat = Chat.objects.filter(telegram_id=inbound.chat_id).first()
    if chat is None:
        return ()
    talk = _Talk(inbound, chat, now)
    known = talk.contact
    replies = talk.press(inbound) if isinstance(inbound, InboundButton) else talk.read(inbound)
    # After the answer, so that a button still finds its journey open; not of who was erased by it.
    if known is not None and talk.contact is not None:
        learner_did(learner_id=known.learner_id, fact="replied", now=now)
    return replies


class _Talk:
    """One update: who sent it, and in which language they are answered."""

    def __init__(self, inbound: InboundMessage | InboundButton, chat: Chat, now: datetime) -> None:
        self.chat, self.now, self.argument = chat, now, ""
        self.telegram_language = inbound.language_code
        self.voice = Voice()
        self._use(conversation.linked_contact(chat=chat))

    def _use(self, contact: Contact | None) -> None:
        self.contact = contact
        self.language = language(contact.language if contact else "", self.telegram_language)

    def read(self, message: InboundMessage) -> Sequence[Reply]:
        """Answer a text."""
        command, self.argument = message.command, message.argument
        # Also "/stop!", which is no command to Telegram.
        if not command and message.text.strip().strip("/.,!¡ ").lower() in STOP_WORDS:
            command = "stop"
        if command == "start" and message.argument:
            return self._open_link(message.argument)
        if command in {"stop", "unsubscribe"}:
            conversation.stop(chat=self.chat, now=self.now)
        if self.contact is None:
            return self._say("neutral")
        answers: Mapping[str, Callable[[Contact], Sequence[Reply]]] = {
            "start": self._welcome,
            "status": self._status,
            "stop": lambda _: self._say("stopped"),
            "unsubscribe": lambda _: self._say("stopped"),
            "schedule": self._schedule,
            "next": self._next,
            "why": self._why,
            "commit": self._commit,
            "snooze": self._snooze,
            "resume": self._resume,
            "timezone": self._zone,
            "language": self._language,
            "help": lambda _: self._say("help"),
            "privacy": self._privacy,
        }
        if command == "address" or (not command and is_full_email(message.text)):
            return self._address(self.contact, message.argument if command else message.text)
        answer = answers.get(command)
        return answer(self.contact) if answer else self._say("unclear")

    def _address(self, contact: Contact, said: str) -> Sequence[Reply]:
        """They name a Google address; whether somebody else has it is not told."""
        if not said.strip():
            return self._say("address_ask")
        try:
            item = conversation.name_address(contact=contact, email=said, now=self.now)
        except IdentityError:
            return self._say("address_bad")
        if item is None:
            return self._say("address_known")
        # What a person has answered is not asked again.
        waits = item.state == ReviewState.OPEN
        return self._say("address_noted" if waits else "address_answered")

    def press(self, button: InboundButton) -> Sequence[Reply]:
        """Answer a button."""
        name, _, value = button.action.partition(":")
        number = int(value) if value.isascii() and value.isdigit() else None
        if name in {"link_yes", "link_no"} and number is not None:
            return self._confirm(number, yes=name == "link_yes")
        if self.contact is None:
            return self._say("neutral")
        if button.action == "optin":
            conversation.opt_in(chat=self.chat, now=self.now)
            return self._say("opted_in")
        if name == "language" and value in WORDS:
            return self._speak(self.contact, value)
        if name in {"come", "decline"} and number is not None:
            return self._answer_pledge(self.contact, number, comes=name == "come")
        if name in {"export", "erase_ask", "erase_no", "erase_yes"}:
            return self._press_of_privacy(name, value, self.contact)
        return self._press_of_journey(button, self.contact)

    def _privacy(self, contact: Contact) -> Sequence[Reply]:
        """What is stored and why, and how to get or delete it."""
        see, delete = self._word("export_button"), self._word("erase_button")
        return self._say("privacy", [[(see, "export")], [(delete, "erase_ask")]])

    def _press_of_privacy(self, name: str, value: str, contact: Contact) -> Sequence[Reply]:
        if name == "export":
            return self._export(contact)
        if name == "erase_no":
            return self._say("erase_kept")
        if name == "erase_ask":
            # The learner is named, so that an old button never erases whoever is linked later.
            yes, no = self._word("erase_yes"), self._word("erase_no")
            sure = f"erase_yes:{contact.learner_id}"
            return self._say("erase_ask", [[(yes, sure)], [(no, "erase_no")]])
        if value != str(contact.learner_id):
            return self._say("button_too_old")
        privacy.erase(learner=contact.learner, now=self.now, last_reply=True)
        self.contact = None
        return self._say("erased")

    def _export(self, contact: Contact) -> Sequence[Reply]:
        """Everything that is stored about them, once at a time."""
        if replies_owed(chat=self.chat, category=OWN_DATA):
            return self._say("export_busy")
        pages = stored.as_texts(
            stored.stored_about(learner=contact.learner),
            voice=self.voice,
            language=self.language,
            zone=conversation.zone_for(contact=contact, session=None),
        )
        return [Reply(text=text, category=OWN_DATA) for text in pages]

    def _press_of_journey(self, button: InboundButton, contact: Contact) -> Sequence[Reply]:
        journey = button.delivery_id and conversation.journey_of_button(
            contact=contact, chat=self.chat, delivery_id=button.delivery_id
        )
        if not journey:
            return self._say("button_too_old")
        if button.action == "dispute" and conversation.dispute(journey=journey, now=self.now):
            return self._say("disputed")
        if button.action == "pledge_next":
            session = conversation.pledge_next(journey=journey, now=self.now)
            if session is None:
                return self._say("no_next_class")
            return self._noted(contact, session, comes=True)
        return self._say("button_too_old")

    def _open_link(self, token: str) -> Sequence[Reply]:
        if token.startswith(trying.PREFIX):
            linked = trying.follow_link(token=token, chat=self.chat, now=self.now)
            return self._say("staff_linked" if linked else "link_refused")
        found = links.open_link(token=token, chat=self.chat, now=self.now)
        if isinstance(found, links.Linked):
            return self._linked(found, again=True)
        if isinstance(found, links.Refused):
            return self._refused(found)
        key = "is_this_you" if found.name else "is_this_you_nameless"
        yes, no = self._word("yes_me"), self._word("not_me")
        # The link is named, so that the button of an earlier one never links to another learner.
        buttons = [[(yes, f"link_yes:{found.link_id}"), (no, f"link_no:{found.link_id}")]]
        return self._say(key, buttons, name=found.name)

    def _confirm(self, link_id: int, *, yes: bool) -> Sequence[Reply]:
        found = links.confirm(chat=self.chat, link_id=link_id, yes=yes, now=self.now)
        if isinstance(found, links.Linked):
            return self._linked(found, again=False)
        return self._refused(found)

    def _linked(self, found: links.Linked, *, again: bool) -> Sequence[Reply]:
        self._use(found.contact)
        state = conversation.status(contact=found.contact, chat=self.chat, now=self.now)
        if again or not state.consents:  # a button of old, after a /stop
            return self._welcome(found.contact)
        return self._say("linked", name=self._name())

    def _refused(self, found: links.Refused) -> Sequence[Reply]:
        if found.reason == "not_me":
            return self._say("not_linked")
        if found.reason == "conflict":
            return self._say("link_conflict")
        if self.contact is not None:
            pressed = found.reason == "nothing_asked"
            return self._say("button_too_old" if pressed else "link_refused")
        # A guessed link must look like no link at all.
        guessed = found.reason in {"unknown_link", "nothing_asked"}
        return self._say("neutral" if guessed else "link_refused")

    def _welcome(self, contact: Contact) -> Sequence[Reply]:
        state = conversation.status(contact=contact, chat=self.chat, now=self.now)
        if state.consents:
            return self._say("welcome_back", name=self._name())
        button = [[(self._word("opt_in"), "optin")]]
        return self._say("welcome_stopped", button, name=self._name())

    def _status(self, contact: Contact) -> Sequence[Reply]:
        state = conversation.status(contact=contact, chat=self.chat, now=self.now)
        lines = []
        if state.next_class is None:
            lines.append(self._word("status_no_class"))
        else:
            when = self._when(state.next_class, state.zone)
            title = _title(state.next_class)
            lines.append(self._word("status_next", title=title, when=when))
        number = str(state.planned) if state.planned < 2 else "n"
        lines.append(self._word(f"status_planned_{number}", count=state.planned))
        lines.append(self._word("status_consent" if state.consents else "status_no_consent"))
        return [Reply(text="\n".join(lines))]

    def _schedule(self, contact: Contact) -> Sequence[Reply]:
        """The next classes, those marked to which they said they come."""
        rows = outlook.schedule(contact=contact, now=self.now)
        if not rows:
            return self._say("status_no_class")
        lines = [
            self._word(
                "schedule_pledged" if row.pledged else "schedule_class",
                title=_title(row.session),
                when=self._when(row.session, row.zone),
            )
            for row in rows
        ]
        return [Reply(text="\n".join([self._word("schedule_head"), *lines]))]

    def _next(self, contact: Contact) -> Sequence[Reply]:
        """When they will hear from us next."""
        at = outlook.next_message_at(chat=self.chat)
        if at is None:
            return self._say("next_none")
        if at <= self.now:
            held = outlook.next_message_waits(chat=self.chat)
            return self._say("next_held" if held else "next_now")
        return self._say("next_at", when=self._moment(at, contact))

    def _why(self, contact: Contact) -> Sequence[Reply]:
        """What caused the last message."""
        cause = outlook.why_last(contact=contact, chat=self.chat)
        if cause is None:
            return self._say("why_nothing")
        what = self._word(f"fact_{_FACT_WORDS.get(cause.fact, 'other')}")
        when = self._when(cause.session, cause.zone)
        key = "why_taken_back" if cause.taken_back else "why_last"
        return self._say(key, what=what, title=_title(cause.session), when=when)

    def _commit(self, contact: Contact) -> Sequence[Reply]:
        """Ask of each next class whether they come."""
        rows = outlook.schedule(contact=contact, now=self.now, most=3)
        if not rows:
            return self._say("status_no_class")
        buttons = []
        for row in rows:
            when = self._when(row.session, row.zone)
            yes, no = self._word("come", when=when), self._word("decline")
            buttons.append([(yes, f"come:{row.session.pk}"), (no, f"decline:{row.session.pk}")])
        return self._say("commit_ask", buttons)

    def _answer_pledge(self, contact: Contact, session_id: int, *, comes: bool) -> Sequence[Reply]:
        session = conversation.answer_pledge(
            contact=contact, session_id=session_id, comes=comes, now=self.now
        )
        if session is None:
            return self._say("button_too_old")
        return self._noted(contact, session, comes=comes)

    def _noted(self, contact: Contact, session: ClassSession, *, comes: bool) -> Sequence[Reply]:
        """Say what was noted, with the way to take it back until the class begins."""
        zone = conversation.zone_for(contact=contact, session=session)
        key, other = ("pledged", "not_after_all") if comes else ("declined", "comes_after_all")
        action = f"{'decline' if comes else 'come'}:{session.pk}"
        buttons = [[(self._word(other), action)]]
        return self._say(key, buttons, title=_title(session), when=self._when(session, zone))

    def _snooze(self, contact: Contact) -> Sequence[Reply]:
        """Silence for a while."""
        span = preferences.read_span(self.argument or "1d")
        if span is None:
            return self._say("snooze_bad")
        if not delivery.has_consent(chat=self.chat, category=delivery.DEFAULT_CATEGORY):
            return self._say("status_no_consent")  # no end of their silence is promised
        until = preferences.snooze(chat=self.chat, span=span, now=self.now)
        return self._say("snoozed", when=self._moment(until, contact))

    def _resume(self, contact: Contact) -> Sequence[Reply]:
        """End a snooze; whoever said stop is asked first."""
        preferences.wake(chat=self.chat)
        state = conversation.status(contact=contact, chat=self.chat, now=self.now)
        return self._say("resumed") if state.consents else self._welcome(contact)

    def _zone(self, contact: Contact) -> Sequence[Reply]:
        """Their time zone, shown or set."""
        if not self.argument:
            zone = conversation.zone_for(contact=contact, session=None)
            return self._say("zone_is", zone=zone.key)
        found = preferences.find_zone(self.argument)
        if found is None:
            return self._say("zone_bad")
        preferences.set_zone(contact=contact, zone=found, now=self.now)
        return self._say("zone_set", zone=found, when=self._moment(self.now, contact))

    def _language(self, contact: Contact) -> Sequence[Reply]:
        """Their language, asked or set."""
        wanted = self.argument.casefold()
        names = {code: self.voice.say("language_name", code) for code in WORDS}
        for code, name in names.items():
            if wanted in {code, name.casefold()}:
                return self._speak(contact, code)
        buttons = [[(name, f"language:{code}")] for code, name in names.items()]
        return self._say("language_ask", buttons)

    def _speak(self, contact: Contact, code: str) -> Sequence[Reply]:
        preferences.set_language(contact=contact, language=code, now=self.now)
        self._use(contact)
        return self._say("language_set")

    def _say(
        self, key: str, buttons: Sequence[Sequence[tuple[str, str]]] = (), **values: str
    ) -> Sequence[Reply]:
        return [Reply(text=self._word(key, **values), buttons=buttons)]

    def _word(self, key: str, **values: object) -> str:
        return self.voice.say(key, self.language, **values)

    def _name(self) -> str:
        contact = self.contact
        name = contact.learner.name.strip().partition(" ")[0] if contact else ""
        return name or self._word("nameless")

    def _when(self, session: ClassSession, zone: ZoneInfo) -> str:
        return self._local(session.starts_at.astimezone(zone))

    def _moment(self, at: datetime, contact: Contact) -> str:
        return self._local(at.astimezone(conversation.zone_for(contact=contact, session=None)))

    def _local(self, local: datetime) -> str:
        return texts.moment_words(local, self.language)


def _title(session: ClassSession) -> str:
    return session.title or session.course.title
