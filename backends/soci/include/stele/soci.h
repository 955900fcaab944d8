// For handlers of projections on the SQL backends: the session of the transaction that also moves the checkpoint.
// Link stele::soci.
#pragma once

#include <soci/soci.h>

#include "stele/error.h"
#include "stele/projection.h"

namespace stele {

/// What is done with it is committed with the checkpoint, or not at all. Do not commit, roll back or change settings of
/// the session; statements end with the handler. Throws unsupported where the backend has none.
inline soci::session& sql(driver::ReadModelTransaction& transaction) {
  void* session = transaction.soci_session();
  if (session == nullptr) throw Error(ErrorCode::unsupported, "this backend has no SQL");
  return *static_cast<soci::session*>(session);
}

inline soci::session& sql(ProjectionContext& context) {
  return sql(context.transaction());
}

}  // namespace stele
