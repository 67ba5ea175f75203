"""自由記述の確認 — free texts in which somebody wrote a My Number, read in the vault with the number masked."""
