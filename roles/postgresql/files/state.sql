SELECT
  array(SELECT name FROM pg_settings WHERE pending_restart ORDER BY 1) AS settings,
  (SELECT json_agg(rolname) FROM pg_roles WHERE pg_has_role(oid, 'pg_monitor', 'usage') AND rolcanlogin) AS monitors,
  (SELECT json_agg(json_build_object(
      'name', datname,
      'comment', shobj_description(pg_database.oid, 'pg_database'),
      'is_open', EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0),
      'owner', rolname,
      'connections', rolconnlimit,
      'password', CASE WHEN shobj_description(pg_database.oid, 'pg_database') = %s THEN rolpassword END,
      'flags', json_build_array(rolcanlogin, rolsuper, rolcreatedb, rolcreaterole)))
    FROM pg_database JOIN pg_authid ON pg_authid.oid = datdba) AS databases
