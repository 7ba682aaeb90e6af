"""The learner as somebody to talk to: chat, zone, language, quiet hours."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from attendance.models import Course, Learner
from delivery.models import Chat


class Contact(models.Model):
    """How a learner is reached; made with the learner, linked to a chat later or never."""

    learner = models.OneToOneField(Learner, models.CASCADE, related_name="contact")
    chat = models.OneToOneField(
        Chat, models.SET_NULL, null=True, blank=True, related_name="contact"
    )
    time_zone = models.CharField(max_length=64, blank=True, default="")
    language = models.CharField(max_length=8, blank=True, default="")
    quiet_opens = models.TimeField(null=True, blank=True, help_text="quiet from this local time")
    quiet_closes = models.TimeField(null=True, blank=True, help_text="until this local time")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(quiet_opens__isnull=True) ^ Q(quiet_closes__isnull=False),
                name="nurture_contact_quiet_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"contact {self.pk}"


class CourseZone(models.Model):
    """By which zone messages were planned for a course's learners who named none of their own.

    Where the course has another one by now, they are planned anew.
    """

    course = models.OneToOneField(
        Course, models.CASCADE, primary_key=True, related_name="planned_by"
    )
    zone = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"course {self.course_id}: {self.zone}"


class ContactTag(models.Model):
    """A name that sequences put on contacts and branch on."""

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="tags")
    name = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["contact", "name"], name="nurture_contacttag_once"),
        ]

    def __str__(self) -> str:
        return f"tag {self.name} of contact {self.contact_id}"


class LinkToken(models.Model):
    """A deep link that binds a chat to a learner. Only the hash of the token is kept."""

    learner = models.ForeignKey(Learner, models.CASCADE, related_name="link_tokens")
    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    #: The chat that opened the link and was asked "Is this you?".
    asked_chat = models.ForeignKey(Chat, models.SET_NULL, null=True, blank=True, related_name="+")
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"link token {self.pk}"
