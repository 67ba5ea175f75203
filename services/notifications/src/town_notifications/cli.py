"""Commands of `notifications`."""

from town_kit.cli import service_cli
from town_notifications.main import create_service
from town_notifications.settings import NotificationsSettings

app = service_cli(lambda: create_service(NotificationsSettings()))
