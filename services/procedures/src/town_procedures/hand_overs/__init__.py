"""引渡し — what a core system's adapter needs of an accepted application, fetched by standardization."""
