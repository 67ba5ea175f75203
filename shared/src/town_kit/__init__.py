"""town_kit: what at least two services need and that names no business noun."""
