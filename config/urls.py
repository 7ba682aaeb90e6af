"""Every address of the web process."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from config import second_factor, strangers, views
from config.admin.overview import fragment
from config.admin.rollout import rollout
from config.admin.verdict import verdict
from delivery.views import telegram_webhook

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/second-factor/", second_factor.verify, name="second_factor"),
    path("admin/second-factor/set-up/", second_factor.set_up, name="second_factor_set_up"),
    path("admin/overview/", admin.site.admin_view(fragment), name="overview"),
    path("admin/rollout/", admin.site.admin_view(rollout), name="rollout"),
    path("admin/go-no-go/", admin.site.admin_view(verdict), name="go_no_go"),
    path("admin/", admin.site.urls),
    path("telegram/webhook/", strangers.throttled(telegram_webhook), name="telegram_webhook"),
    path("metrics", strangers.throttled(views.metrics), name="metrics"),
]
