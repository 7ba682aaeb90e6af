"""The roles viewer, author, publisher, operator and admin (nurture/domain/roles.py)."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

from nurture.services.roles import remove_roles, set_up_roles


def make(apps, schema_editor):
    """Django makes permissions after all migrations; the roles need them now."""
    for app in apps.get_app_configs():
        app.models_module = True
        create_permissions(app, apps=apps, verbosity=0)
        app.models_module = None
    # What later migrations bring is given by `setup_roles`, which runs after each `migrate`.
    set_up_roles(registry=apps)


def unmake(apps, schema_editor):
    remove_roles(registry=apps)


class Migration(migrations.Migration):
    dependencies = [
        ("nurture", "0009_pledge_questions"),
        ("attendance", "0006_ask_before"),
        ("delivery", "0009_who_left"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("waffle", "0004_update_everyone_nullbooleanfield"),
        ("axes", "0010_accessattemptexpiration"),
        ("otp_totp", "0003_add_timestamps"),
        ("otp_static", "0003_add_timestamps"),
    ]

    operations = [migrations.RunPython(make, unmake)]
