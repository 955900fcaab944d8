// Times and ids as ODBC has them.
#pragma once

#include <sql.h>
#include <sqlext.h>

#include <cstdint>

#include "stele/timestamp.h"
#include "stele/uuid.h"

namespace stele::mssql {

SQL_TIMESTAMP_STRUCT to_odbc(Timestamp time) noexcept;
std::int64_t micros_of(const SQL_TIMESTAMP_STRUCT& time) noexcept;
SQLGUID to_odbc(const Uuid& id) noexcept;
Uuid uuid_of(const SQLGUID& guid) noexcept;

}  // namespace stele::mssql
