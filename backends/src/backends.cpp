#include "stele/backends.h"

#ifdef STELE_WITH_MSSQL
#include "stele/mssql.h"
#endif
#ifdef STELE_WITH_POSTGRES
#include "stele/postgres.h"
#endif
#include "stele/sqlite.h"

namespace stele {

const Registry& default_registry() {
  static const Registry registry = [] {
    Registry all;
    register_memory_driver(all);
    register_archive_driver(all);
    sqlite::register_driver(all);
#ifdef STELE_WITH_POSTGRES
    postgres::register_driver(all);
#endif
#ifdef STELE_WITH_MSSQL
    mssql::register_driver(all);
#endif
    return all;
  }();
  return registry;
}

EventStore open(std::string_view url, const OpenOptions& options) {
  return EventStore::open(default_registry(), url, options);
}

}  // namespace stele
