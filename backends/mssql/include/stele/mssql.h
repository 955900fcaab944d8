// The SQL Server backend.
#pragma once

#include "stele/export.h"
#include "stele/registry.h"

namespace stele::mssql {

/// Adds the scheme `mssql`: SQL Server 2019 and later, and Azure SQL, at mssql://user:password@host:port/database. The
/// database must have READ_COMMITTED_SNAPSHOT switched on. Settings:
///
///   schema=stele                  the schema that the store lives in; several stores may share a database
///   busy_timeout=10s              how long an operation waits for a lock, or for a free connection, before it is
///   `busy` connections=16                connections at most, 1 … 256 max_lifetime=30m              a connection this
///   old is replaced when it is idle connect_timeout=10s           how long connecting may take application_name=stele
///   how the server lists the connections driver=NAME                   the ODBC driver, by its name in odbcinst.ini or
///   by its file's path. Otherwise FreeTDS
///                                 where it is installed, else Microsoft's "ODBC Driver 18 for SQL Server"
///   encrypt=yes                   yes, no or strict. Not given: as the driver does by itself
///   trust_server_certificate=no   yes: whoever answers is believed to be the server
STELE_API void register_driver(Registry& registry);

}  // namespace stele::mssql
