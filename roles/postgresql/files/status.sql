SELECT
  current_setting('server_version_num')::int / 10000 AS version,
  pg_is_in_recovery() AS is_replica,
  (SELECT sum(pg_database_size(oid)) FROM pg_database)::bigint AS bytes,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int AS connections,
  current_setting('max_connections')::int AS connections_max,
  current_setting('synchronous_standby_names') <> '' AS waits,
  -- Of a primary.
  (SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint
    FROM pg_stat_replication WHERE application_name = %(slot)s AND state = 'streaming') AS lag_bytes,
  (SELECT wal_status FROM pg_replication_slots WHERE slot_name = %(slot)s) AS slot,
  -- Of a replica.
  (SELECT status FROM pg_stat_wal_receiver) AS receiver,
  pg_last_wal_receive_lsn()::text AS received,
  pg_last_xact_replay_timestamp()::text AS replayed_at
