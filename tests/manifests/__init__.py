"""Checks of what stands in ``k8s/``, ``deploy/compose`` and ``deploy/Dockerfile``, without a cluster or an engine."""
