"""The contracts (契約): generated from the code, committed under ``contracts/``, and compared by `make check`."""
