"""利用システム — clients of vendors and of the town's own services, and who may hold which scope."""

from town_identity.clients.registry import Client, ClientRegistry, Method, client_uuid
from town_identity.clients.scopes import ScopeCatalogue, load_scopes

__all__ = ["Client", "ClientRegistry", "Method", "ScopeCatalogue", "client_uuid", "load_scopes"]
