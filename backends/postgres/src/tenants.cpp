#include "tenants.h"

#include "errors.h"

namespace stele::postgres {
namespace {

// The functions of the store run with their owner's rights; FORCE makes the policies hold for those, too, and the
// session tells whose they are: that of the owner, who looks after the whole store, or of somebody who logged in to use
// it. Subselects are evaluated once for a statement, not for each row.
constexpr std::string_view switch_on = R"sql(
DO $isolate$
DECLARE
    owner CONSTANT oid := (SELECT relowner FROM pg_class WHERE oid = to_regclass('events'));
    relation text;
    condition text;
    own CONSTANT text :=
        '(SELECT pg_has_role(session_user, %s::oid, ''MEMBER'')) OR %s';
    of_tenant CONSTANT text := 'tenant_id = (SELECT current_setting(''app.current_tenant_id'', true))';
BEGIN
    IF (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE oid = owner) THEN
        RAISE EXCEPTION 'row-level security does not hold for %, who owns the tables: give them to a role that is neither '
            'a superuser nor has BYPASSRLS', (SELECT rolname FROM pg_roles WHERE oid = owner)
            USING ERRCODE = 'feature_not_supported';
    END IF;
    FOREACH relation IN ARRAY ARRAY['streams', 'commands', 'events', 'event_attributes', 'snapshots', 'projections',
                                    'projection_offsets', 'projection_members', 'dead_letters', 'event_schemas',
                                    'event_type_rules', 'subject_keys', 'event_hashes', 'log_seals'] LOOP
        condition := CASE relation
            WHEN 'event_attributes' THEN
                'EXISTS (SELECT FROM events AS e WHERE e.global_position = event_attributes.global_position)'
            WHEN 'event_hashes' THEN 'false'  -- Of the whole store.
            WHEN 'log_seals' THEN 'false'
            WHEN 'snapshots' THEN 'EXISTS (SELECT FROM streams AS s WHERE s.stream_no = snapshots.stream_no)'
            ELSE of_tenant END;
        EXECUTE format('DROP POLICY IF EXISTS own_tenant ON %I', relation);
        EXECUTE format('CREATE POLICY own_tenant ON %I USING (%s)', relation, format(own, owner, condition));
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
    END LOOP;
END
$isolate$)sql";

constexpr std::string_view switch_off = R"sql(
DO $share$
DECLARE
    relation name;
BEGIN
    FOR relation IN
        SELECT c.relname FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
        WHERE p.polname = 'own_tenant' AND c.relnamespace = current_schema()::regnamespace
    LOOP
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY', relation);
        EXECUTE format('DROP POLICY own_tenant ON %I', relation);
    END LOOP;
END
$share$)sql";

}  // namespace

void isolate_tenants(Session& session, bool on) {
  session.run(std::string(on ? switch_on : switch_off), "tenants");
}

}  // namespace stele::postgres
