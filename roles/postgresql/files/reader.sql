SELECT
  json_build_array(rolcanlogin, rolsuper, rolcreatedb, rolcreaterole) AS flags,
  rolpassword AS password,
  -- To connect, and to read tables, sequences and schemas to come.
  has_database_privilege(reader.oid, current_database(), 'CONNECT')::int
    + (SELECT count(DISTINCT (defaclobjtype, privilege_type))::int
        FROM pg_default_acl CROSS JOIN aclexplode(defaclacl) AS acl
        WHERE defaclnamespace = 0
          AND defaclrole = (SELECT datdba FROM pg_database WHERE datname = current_database())
          AND acl.grantee = reader.oid
          AND (defaclobjtype, privilege_type) IN (('r', 'SELECT'), ('S', 'SELECT'), ('n', 'USAGE'))) AS rights
FROM pg_authid AS reader WHERE rolname = %s
