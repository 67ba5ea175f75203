#!/bin/sh
# Makes the databases named in TOWN_DATABASES, each with an owner (migrations) and an application role that owns nothing.
# The image of PostgreSQL runs it once, on an empty data directory. The files <database>_owner and <database>_app below
# /run/passwords hold the passwords; what is said here is what town_kit.db.provision says.
set -eu
psql() { command psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" "$@"; }

for name in $TOWN_DATABASES; do
	psql -v name="$name" -v owner="${name}_owner" -v app="${name}_app" \
		-v owner_password="$(cat "${TOWN_PASSWORDS:-/run/passwords}/${name}_owner")" \
		-v app_password="$(cat "${TOWN_PASSWORDS:-/run/passwords}/${name}_app")" --dbname postgres <<-'SQL'
		CREATE ROLE :"owner" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
		CREATE ROLE :"app" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'app_password';
		CREATE DATABASE :"name" OWNER :"owner" TEMPLATE template0;
		REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
		GRANT CONNECT, TEMPORARY ON DATABASE :"name" TO :"app";
	SQL
	psql -v owner="${name}_owner" -v app="${name}_app" --dbname "$name" <<-'SQL'
		ALTER SCHEMA public OWNER TO :"owner";
		REVOKE ALL ON SCHEMA public FROM PUBLIC;
		GRANT USAGE ON SCHEMA public TO :"app";
	SQL
done
