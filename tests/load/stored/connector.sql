-- part: cursors
INSERT INTO inbox (consumer, topic, key, sequence)
SELECT 'connector.statuses', 'procedures.applications', pg_temp.id('application', n), pg_temp.moves(n) + 1
FROM generate_series(1, pg_temp.total()) AS n;
