// What SQL Server itself can check of a store.
#pragma once

#include "session.h"
#include "stele/verify.h"

namespace stele::mssql {

void verify_storage(Session& session, const VerifyOptions& options, VerifyReport& report);

}  // namespace stele::mssql
