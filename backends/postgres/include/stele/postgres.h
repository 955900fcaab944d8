// The PostgreSQL backend.
#pragma once

#include "stele/export.h"
#include "stele/registry.h"

namespace stele::postgres {

/// Adds the schemes `postgresql` and `postgres`: PostgreSQL 15 and later, at
/// postgresql://user:password@host:port/database, with several hosts, and with libpq's own settings (sslmode,
/// target_session_attrs, connect_timeout, application_name …) beside these:
///
///   schema=stele           the schema that the store lives in; several stores may share a database
///   busy_timeout=10s       how long an operation waits for a lock, or for a free connection, before it is `busy`
///   connections=16         connections at most, 1 … 256; one more for each listener
///   max_lifetime=30m       a connection this old is replaced when it is idle
///   pooler=none            `session` allows a connection pooler (PgBouncer) that gives each client a server connection
///                          of its own; with one that does not, the store refuses to work
STELE_API void register_driver(Registry& registry);

}  // namespace stele::postgres
