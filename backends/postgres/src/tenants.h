// Row-level security: the database's own line between tenants.
#pragma once

#include "session.h"

namespace stele::postgres {

/// Switches it on or off for the store's tables, in one transaction. On, a session sees and writes what is of the tenant
/// in its setting app.current_tenant_id, and nothing without one; sessions of the tables' owner see everything. May be
/// repeated. Throws unsupported when the owner is somebody for whom row-level security does not hold.
void isolate_tenants(Session& session, bool on);

}  // namespace stele::postgres
