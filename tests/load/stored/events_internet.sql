-- part: events
INSERT INTO log_records (topic_id, partition, record_offset, appended_at, key, headers, value)
SELECT like_this.topic_id, n % 4, pg_temp.place(n, k), pg_temp.at(n),
  convert_to(CAST(pg_temp.id('application', n) AS text), 'UTF8'), like_this.headers, pg_temp.body(n, k)
FROM generate_series(pg_temp.first_event(), pg_temp.total()) AS n, generate_series(1, 5) AS k,
  (SELECT r.topic_id, r.headers FROM log_records r JOIN log_topics t ON t.id = r.topic_id
    WHERE t.name = 'procedures.applications' LIMIT 1) AS like_this
WHERE k <= pg_temp.moves(n) + 1;

UPDATE log_topics t SET next_offsets = ARRAY(
    SELECT coalesce(max(r.record_offset) + 1, 0) FROM generate_series(0, t.partitions - 1) AS p
      LEFT JOIN log_records r ON r.topic_id = t.id AND r.partition = p GROUP BY p ORDER BY p)
 WHERE t.name = 'procedures.applications';

UPDATE log_groups g SET next_offset = t.next_offsets[g.partition + 1] FROM log_topics t
 WHERE t.id = g.topic_id AND t.name = 'procedures.applications';
