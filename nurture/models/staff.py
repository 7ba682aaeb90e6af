"""Staff as somebody to send tests to."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from delivery.models import Chat


class StaffChat(models.Model):
    """The chat of a member of staff: linked by a link that only they were shown, or not yet.

    Of the link only the hash is kept.
    """

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="staff_chat")
    chat = models.ForeignKey(Chat, models.CASCADE, null=True, blank=True, related_name="+")
    token_hash = models.CharField(max_length=64, blank=True, default="")
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["token_hash"], condition=~Q(token_hash=""), name="nurture_staffchat_token"
            ),
        ]

    def __str__(self) -> str:
        return f"chat of staff {self.user_id}"
