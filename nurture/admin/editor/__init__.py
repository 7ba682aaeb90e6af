"""The editor of drafts: a sequence as its file has it, as a form, and back (P28, P29)."""

from __future__ import annotations

from nurture.admin.editor.views import EditorPages

__all__ = ["EditorPages"]
