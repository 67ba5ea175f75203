"""``python -m town_onebox``."""

from town_onebox.cli import main

if __name__ == "__main__":
    main()
