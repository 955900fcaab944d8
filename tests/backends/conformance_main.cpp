// The conformance suite on the backends of this project.
#include <iostream>

#include "memory_harness.h"
#ifdef STELE_WITH_MSSQL
#include "mssql_harness.h"
#endif
#ifdef STELE_WITH_POSTGRES
#include "postgres_harness.h"
#endif
#include "sqlite_harness.h"
#include "stele/testing/conformance.h"

int main(int argc, char** argv) {
  using namespace stele::testing;
  // With all capabilities: true, none of their cases is skipped.
  std::vector<NamedHarness> harnesses = {{"sqlite_file", [] { return std::make_unique<SqliteFileHarness>(); }, true},
                                         {"sqlite_memory", [] { return std::make_unique<SqliteMemoryHarness>(); }},
                                         {"memory", [] { return std::make_unique<MemoryHarness>(); }}};
#ifdef STELE_WITH_POSTGRES
  if (!postgres_url().empty()) {
    harnesses.push_back({"postgres", [] { return std::make_unique<PostgresHarness>(); }, true});
  } else {
    std::cout << "!! PostgreSQL is NOT tested: STELE_TEST_POSTGRES_URL names no server\n";
  }
#endif
#ifdef STELE_WITH_MSSQL
  if (!mssql_url().empty()) {
    harnesses.push_back({"mssql", [] { return std::make_unique<MssqlHarness>(); }, true});
  } else {
    std::cout << "!! SQL Server is NOT tested: STELE_TEST_MSSQL_URL names no server\n";
  }
#endif
  return run_conformance(argc, argv, harnesses);
}
