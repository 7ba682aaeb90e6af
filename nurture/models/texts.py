"""What staff put in the place of the bot's own words."""

from __future__ import annotations

from django.db import models


class BotText(models.Model):
    """One text of the bot in one language, changed by staff; the defaults are in words.py."""

    key = models.CharField(max_length=64)
    language = models.CharField(max_length=8)
    text = models.TextField()
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        verbose_name = "bot text"
        constraints = [
            models.UniqueConstraint(fields=["language", "key"], name="nurture_bottext_once"),
            models.CheckConstraint(condition=~models.Q(text=""), name="nurture_bottext_given"),
        ]

    def __str__(self) -> str:
        return f"bot text {self.key} ({self.language})"
