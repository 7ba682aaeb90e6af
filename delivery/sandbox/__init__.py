"""A Bot API server of our own: what stands in for Telegram on a laptop and in staging.

It keeps Telegram's rules (markup, lengths, keyboards, who may be written to, rates) and shows a
page on which a person sits in a learner's place.
"""

from __future__ import annotations
