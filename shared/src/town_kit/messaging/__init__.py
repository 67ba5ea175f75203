"""Events between services: outbox → relay → log → inbox. Two logs behind one protocol: ``pglog`` and ``kafka``."""
