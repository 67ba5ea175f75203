"""The journey (一件の申請の旅): one real application through every hop, seen from outside."""
