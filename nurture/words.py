"""What the bot itself says, in English and Spanish. Telegram's HTML subset.

What staff write for a sequence is not here; these are the answers to what somebody just did.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

DEFAULT = "en"
#: Labels of buttons.
BUTTONS = frozenset(
    {
        "yes_me", "not_me", "opt_in", "come", "decline", "language_name", "export_button",
        "erase_button", "erase_yes", "erase_no", "will_come", "will_not_come", "comes_after_all",
        "not_after_all",
    }
)  # fmt: skip
#: Parts that are put into other texts.
PARTS = frozenset(
    {
        "nameless", "fact_missed", "fact_late", "fact_left_early", "fact_partial",
        "fact_attended", "fact_pledged", "fact_other",
    }
)  # fmt: skip
_SLOT = re.compile(r"\{(\w+)\}")

_EN = {
    "neutral": (
        "Hello. This bot writes to learners of a school, about their classes. "
        "If you take part, please use the link that the school sent you."
    ),
    "nameless": "dear learner",
    "is_this_you": "Hello! This link was made for <b>{name}</b>. Is this you?",
    "is_this_you_nameless": "Hello! This link was made for one learner only. Was it sent to you?",
    "yes_me": "Yes, that is me",
    "not_me": "No, not me",
    "linked": (
        "Thank you, {name}. From now on I will write to you about your classes.\n"
        "/status shows what is next, /stop ends it at any time, /privacy says what is stored."
    ),
    "not_linked": "All right, nothing was linked. You may delete this chat.",
    "link_refused": (
        "This link cannot be used any more. Nothing was changed. "
        "Please ask the school for a new one."
    ),
    "link_conflict": (
        "This link could not be used here. Nothing was changed; the school will look into it."
    ),
    "staff_linked": "Linked. Tests of messages can be sent to this chat now.",
    "welcome_back": "Hello again, {name}. You are linked; /status shows what is next.",
    "welcome_stopped": (
        "Hello again, {name}. You asked me not to write, so I do not. Would you like me to?"
    ),
    "opt_in": "Yes, write to me again",
    "opted_in": "Good to have you back. /stop ends it at any time.",
    "stopped": (
        "Done: I will not write to you any more, and what was planned is cancelled. "
        "If you change your mind, send /start."
    ),
    "help": (
        "/status – what is next for you\n"
        "/schedule – your next classes\n"
        "/commit – say that you come\n"
        "/next – when you hear from me\n"
        "/why – what the last message was about\n"
        "/snooze 3d – quiet for a while; /resume ends it\n"
        "/timezone – your time zone\n"
        "/language – your language\n"
        "/address – the Google address you join with\n"
        "/stop – no more messages\n"
        "/start – begin again\n"
        "/privacy – what is stored about you"
    ),
    "privacy": (
        "<b>What is stored:</b> your name and e-mail address as the school gave them, the number "
        "of this chat, your time zone and language, when you were in class, which messages were "
        "sent to you, and what you wrote and pressed here.\n"
        "<b>Why:</b> to tell you what matters for your classes, and to tell nobody anything that "
        "is not true of them.\n"
        "<b>How long:</b> as long as you take part, unless the school has told you otherwise.\n"
        "<b>Who to ask:</b> the school, to correct it. To see or delete it, press a button. "
        "/stop ends all messages."
    ),
    "export_button": "Send me my data",
    "erase_button": "Delete my data",
    "export_busy": "It is on its way already; please wait until you have all of it.",
    "export_you": "<b>You</b>",
    "export_name": "Name: {value}",
    "export_email": "Address: {value}",
    "export_zone": "Time zone: {value}",
    "export_language": "Language: {value}",
    "export_quiet": "Quiet hours: {value}",
    "export_chat": "Number of this chat: {value}",
    "export_consent": "You agreed to messages: {value}",
    "export_tags": "Tags: {value}",
    "export_identities": "<b>By what you are recognised in a class</b>",
    "export_courses": "<b>Your courses</b>",
    "export_outcomes": "<b>Your attendance</b>",
    "export_pledges": "<b>What you said about coming</b>",
    "export_records": "<b>What Google recorded of you</b>",
    "export_facts": "<b>What was concluded</b>",
    "export_reviews": "<b>What staff were asked about you</b>",
    "export_journeys": "<b>Series of messages</b>",
    "export_decisions": "<b>What was decided for you</b>",
    "export_tasks": "<b>What staff were asked to do</b>",
    "export_deliveries": "<b>What I sent you</b>",
    "export_said": "<b>What you wrote and pressed</b>",
    "export_more": "There is more than fits here; the school can give you all of it as a file.",
    "export_end": "That is all.",
    "erase_ask": (
        "This cannot be undone. Your name, your addresses, this chat, and all that was written "
        "here are deleted; I can never write to you again by myself. What stays are numbers "
        "that say nothing of you. Shall I?"
    ),
    "erase_yes": "Yes, delete all of it",
    "erase_no": "No, keep it",
    "erase_kept": "All right, nothing was deleted.",
    "erased": "Done. What was stored about you is deleted, and this is my last message.",
    "status_next": "Next class: <b>{title}</b>, {when}.",
    "status_no_class": "No next class is planned.",
    "status_planned_0": "No message is planned for you.",
    "status_planned_1": "One message is planned for you.",
    "status_planned_n": "{count} messages are planned for you.",
    "status_consent": "You agreed to messages; /stop ends them.",
    "status_no_consent": "You asked me not to write; /start lets you change that.",
    "schedule_head": "Your next classes:",
    "schedule_class": "• <b>{title}</b>, {when}",
    "schedule_pledged": "• <b>{title}</b>, {when} ✓ you said you come",
    "next_none": "No message is planned for you.",
    "next_now": "A message for you is about to go out.",
    "next_held": "A message for you is ready and waits; it comes as soon as it may go out.",
    "next_at": "You will hear from me on {when} at the earliest, unless something changes by then.",
    "why_nothing": "Nothing that you did or missed led to a message so far.",
    "why_last": "You got the last message because {what} <b>{title}</b>, {when}.",
    "why_taken_back": (
        "You got the last message because it looked as if {what} <b>{title}</b>, {when}. "
        "That turned out to be wrong. Sorry!"
    ),
    "fact_missed": "you were not in",
    "fact_late": "you came late to",
    "fact_left_early": "you left early from",
    "fact_partial": "you were in only a part of",
    "fact_attended": "you were in",
    "fact_pledged": "you said you come to",
    "fact_asked": "I wanted to know whether you come to",
    "fact_other": "of",
    "commit_ask": "Will you come?",
    "pledge_ask": "Will you come to <b>{title}</b>, {when}?",
    "will_come": "I will come",
    "will_not_come": "I can't",
    "comes_after_all": "I can come after all",
    "not_after_all": "I can't come after all",
    "come": "I come: {when}",
    "decline": "I cannot",
    "declined": "Thank you for saying so: not at <b>{title}</b>, {when}.",
    "snoozed": "Quiet until {when}. What was planned waits; /resume ends it sooner.",
    "snooze_bad": "How long? For example /snooze 2h, /snooze 3d; 30 days at most.",
    "resumed": "I am back; what waited comes at its hours.",
    "zone_is": "I count your hours in {zone}. To change it: /timezone Europe/Madrid",
    "zone_set": "I count your hours in {zone} now. There it is {when}.",
    "zone_bad": "I do not know that time zone. It looks like this: /timezone Europe/Madrid",
    "language_name": "English",
    "language_ask": "Which language shall I write in?",
    "language_set": "I write in English from now on, where the school has the words.",
    "disputed": (
        "Thank you for telling us. We will look at it, and this series of messages waits "
        "until then.\n\nWhich Google address were you signed in with? Just send it to me; it "
        "helps us to recognise you."
    ),
    "address_ask": (
        "Which Google address do you join your classes with? Send it to me, for example: "
        "/address name@gmail.com"
    ),
    "address_noted": (
        "Thank you. Somebody at the school will look at it, and from then on you are recognised "
        "by it."
    ),
    "address_known": "Thank you, I know you by this address already.",
    "address_answered": (
        "The school has looked at this address already and did not take it for yours. "
        "Please ask them if that is wrong."
    ),
    "address_bad": "That is not a whole e-mail address. It looks like this: name@gmail.com",
    "pledged": "Great, see you at <b>{title}</b>, {when}.",
    "no_next_class": "Thank you! No next class is planned yet.",
    "button_too_old": "This button no longer does anything. /status shows what is next.",
    "unclear": "I only understand a few commands. /help lists them.",
}

_ES = {
    "neutral": (
        "Hola. Este bot escribe a los alumnos de una escuela sobre sus clases. "
        "Si participas, usa el enlace que te envió la escuela."
    ),
    "nameless": "y un saludo",
    "is_this_you": "¡Hola! Este enlace se creó para <b>{name}</b>. ¿Eres tú?",
    "is_this_you_nameless": "¡Hola! Este enlace es para un solo alumno. ¿Te lo enviaron a ti?",
    "yes_me": "Sí, soy yo",
    "not_me": "No, no soy yo",
    "linked": (
        "Gracias, {name}. A partir de ahora te escribiré sobre tus clases.\n"
        "/status muestra lo próximo, /stop lo termina cuando quieras, /privacy dice qué se guarda."
    ),
    "not_linked": "De acuerdo, no se ha vinculado nada. Puedes borrar este chat.",
    "link_refused": (
        "Este enlace ya no sirve. No se ha cambiado nada. Pide uno nuevo a la escuela."
    ),
    "link_conflict": (
        "Este enlace no se pudo usar aquí. No se ha cambiado nada; la escuela lo revisará."
    ),
    "staff_linked": "Vinculado. Ahora se pueden enviar pruebas de mensajes a este chat.",
    "welcome_back": "Hola de nuevo, {name}. Estás vinculado; /status muestra lo próximo.",
    "welcome_stopped": (
        "Hola de nuevo, {name}. Me pediste que no escribiera, y no lo hago. ¿Quieres que vuelva?"
    ),
    "opt_in": "Sí, escríbeme otra vez",
    "opted_in": "Qué bien tenerte de vuelta. /stop lo termina cuando quieras.",
    "stopped": (
        "Hecho: no te escribiré más, y lo que estaba previsto queda cancelado. "
        "Si cambias de idea, envía /start."
    ),
    "help": (
        "/status – lo próximo para ti\n"
        "/schedule – tus próximas clases\n"
        "/commit – decir que vienes\n"
        "/next – cuándo sabrás de mí\n"
        "/why – a qué se debió el último mensaje\n"
        "/snooze 3d – silencio un tiempo; /resume lo termina\n"
        "/timezone – tu zona horaria\n"
        "/language – tu idioma\n"
        "/address – la dirección de Google con la que te conectas\n"
        "/stop – no más mensajes\n"
        "/start – empezar de nuevo\n"
        "/privacy – qué se guarda sobre ti"
    ),
    "privacy": (
        "<b>Qué se guarda:</b> tu nombre y tu correo tal como los dio la escuela, el número de "
        "este chat, tu zona horaria y tu idioma, cuándo estuviste en clase, qué mensajes se te "
        "enviaron y qué escribiste y pulsaste aquí.\n"
        "<b>Para qué:</b> para decirte lo que importa de tus clases, y no decir a nadie nada que "
        "no sea cierto.\n"
        "<b>Cuánto tiempo:</b> mientras participes, salvo que la escuela te haya dicho otra cosa.\n"
        "<b>A quién preguntar:</b> a la escuela, para corregirlo. Para verlo o borrarlo, pulsa un "
        "botón. /stop termina todos los mensajes."
    ),
    "export_button": "Envíame mis datos",
    "erase_button": "Borra mis datos",
    "export_busy": "Ya está en camino; espera a tenerlo todo, por favor.",
    "export_you": "<b>Tú</b>",
    "export_name": "Nombre: {value}",
    "export_email": "Dirección: {value}",
    "export_zone": "Zona horaria: {value}",
    "export_language": "Idioma: {value}",
    "export_quiet": "Horas de silencio: {value}",
    "export_chat": "Número de este chat: {value}",
    "export_consent": "Aceptaste recibir mensajes: {value}",
    "export_tags": "Etiquetas: {value}",
    "export_identities": "<b>Por lo que se te reconoce en clase</b>",
    "export_courses": "<b>Tus cursos</b>",
    "export_outcomes": "<b>Tu asistencia</b>",
    "export_pledges": "<b>Lo que dijiste sobre venir</b>",
    "export_records": "<b>Lo que Google registró de ti</b>",
    "export_facts": "<b>Lo que se concluyó</b>",
    "export_reviews": "<b>Lo que se preguntó sobre ti al personal</b>",
    "export_journeys": "<b>Series de mensajes</b>",
    "export_decisions": "<b>Lo que se decidió para ti</b>",
    "export_tasks": "<b>Lo que se encargó al personal</b>",
    "export_deliveries": "<b>Lo que te envié</b>",
    "export_said": "<b>Lo que escribiste y pulsaste</b>",
    "export_more": "Hay más de lo que cabe aquí; la escuela puede dártelo todo en un archivo.",
    "export_end": "Eso es todo.",
    "erase_ask": (
        "Esto no se puede deshacer. Se borran tu nombre, tus direcciones, este chat y todo lo que "
        "se escribió aquí; ya no podré escribirte por mi cuenta. Quedan números que no dicen nada "
        "de ti. ¿Lo hago?"
    ),
    "erase_yes": "Sí, bórralo todo",
    "erase_no": "No, déjalo",
    "erase_kept": "De acuerdo, no se ha borrado nada.",
    "erased": "Hecho. Lo que se guardaba de ti está borrado, y este es mi último mensaje.",
    "status_next": "Próxima clase: <b>{title}</b>, {when}.",
    "status_no_class": "No hay ninguna clase prevista.",
    "status_planned_0": "No hay ningún mensaje previsto para ti.",
    "status_planned_1": "Hay un mensaje previsto para ti.",
    "status_planned_n": "Hay {count} mensajes previstos para ti.",
    "status_consent": "Aceptaste recibir mensajes; /stop los termina.",
    "status_no_consent": "Me pediste que no escribiera; con /start puedes cambiarlo.",
    "schedule_head": "Tus próximas clases:",
    "schedule_class": "• <b>{title}</b>, {when}",
    "schedule_pledged": "• <b>{title}</b>, {when} ✓ dijiste que vienes",
    "next_none": "No hay ningún mensaje previsto para ti.",
    "next_now": "Un mensaje para ti está a punto de salir.",
    "next_held": "Un mensaje para ti está listo y espera; llegará en cuanto pueda salir.",
    "next_at": "Sabrás de mí el {when} como pronto, si nada cambia hasta entonces.",
    "why_nothing": "Hasta ahora, nada que hicieras ha dado lugar a un mensaje.",
    "why_last": "Recibiste el último mensaje porque {what} <b>{title}</b>, {when}.",
    "why_taken_back": (
        "Recibiste el último mensaje porque parecía que {what} <b>{title}</b>, {when}. "
        "Resultó no ser cierto. ¡Perdona!"
    ),
    "fact_missed": "no estuviste en",
    "fact_late": "llegaste tarde a",
    "fact_left_early": "te fuiste antes de",
    "fact_partial": "solo estuviste en una parte de",
    "fact_attended": "estuviste en",
    "fact_pledged": "dijiste que vienes a",
    "fact_asked": "quería saber si vienes a",
    "fact_other": "hubo",
    "commit_ask": "¿Vienes?",
    "pledge_ask": "¿Vendrás a <b>{title}</b>, {when}?",
    "will_come": "Sí, voy",
    "will_not_come": "No puedo",
    "comes_after_all": "Al final sí puedo ir",
    "not_after_all": "Al final no puedo ir",
    "come": "Voy: {when}",
    "decline": "No puedo",
    "declined": "Gracias por avisar: a <b>{title}</b>, {when}, no vienes.",
    "snoozed": "Silencio hasta el {when}. Lo previsto espera; /resume lo termina antes.",
    "snooze_bad": "¿Cuánto tiempo? Por ejemplo /snooze 2h, /snooze 3d; 30 días como máximo.",
    "resumed": "Estoy de vuelta; lo que esperaba llega a sus horas.",
    "zone_is": "Cuento tus horas en {zone}. Para cambiarlo: /timezone Europe/Madrid",
    "zone_set": "Ahora cuento tus horas en {zone}. Allí es {when}.",
    "zone_bad": "No conozco esa zona horaria. Tiene esta forma: /timezone Europe/Madrid",
    "language_name": "Español",
    "language_ask": "¿En qué idioma te escribo?",
    "language_set": "A partir de ahora te escribo en español, donde la escuela tenga los textos.",
    "disputed": (
        "Gracias por decírnoslo. Lo revisaremos, y hasta entonces esta serie de mensajes espera."
        "\n\n¿Con qué dirección de Google te conectaste? Envíamela tal cual; nos ayuda a "
        "reconocerte."
    ),
    "address_ask": (
        "¿Con qué dirección de Google te conectas a tus clases? Envíamela, por ejemplo: "
        "/address nombre@gmail.com"
    ),
    "address_noted": (
        "Gracias. Alguien de la escuela lo revisará, y desde entonces te reconoceremos por ella."
    ),
    "address_known": "Gracias, ya te conozco por esta dirección.",
    "address_answered": (
        "La escuela ya revisó esta dirección y no la reconoció como tuya. "
        "Pregúntale si eso no es correcto."
    ),
    "address_bad": "Eso no es una dirección completa. Tiene esta forma: nombre@gmail.com",
    "pledged": "Estupendo, nos vemos en <b>{title}</b>, {when}.",
    "no_next_class": "¡Gracias! Todavía no hay ninguna clase prevista.",
    "button_too_old": "Este botón ya no hace nada. /status muestra lo próximo.",
    "unclear": "Solo entiendo unas pocas órdenes. /help las muestra.",
}

WORDS: Mapping[str, Mapping[str, str]] = {"en": _EN, "es": _ES}


def language(*codes: str) -> str:
    """The first of these language codes ("es", "es-MX") that the bot speaks; English if none."""
    for code in codes:
        short = code.lower().replace("_", "-").partition("-")[0]
        if short in WORDS:
            return short
    return DEFAULT


def slots(text: str) -> list[str]:
    """The names between braces in a text, for which values are put in."""
    return _SLOT.findall(text)


def fill(text: str, /, **values: object) -> str:
    """A text with its values, escaped for HTML. Only names are looked up: no attributes, no calls.

    Raises KeyError for a name that has no value.
    """
    safe = {name: escape(str(value), quote=False) for name, value in values.items()}
    return _SLOT.sub(lambda found: safe[found[1]], text)


def listed(text: str) -> list[tuple[str, str]]:
    """The commands that a help text lists, a line each: "/name – what it does"."""
    lines = (line.partition(" – ") for line in text.splitlines() if line.startswith("/"))
    return [(name.split()[0].removeprefix("/"), does.strip()) for name, _, does in lines]
