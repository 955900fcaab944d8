// The conformance suite on the backends of this project.
#include "memory_harness.h"
#include "sqlite_harness.h"
#include "stele/testing/conformance.h"

int main(int argc, char** argv) {
  using namespace stele::testing;
  return run_conformance(argc, argv,
                         {{"sqlite_file", [] { return std::make_unique<SqliteFileHarness>(); }},
                          {"sqlite_memory", [] { return std::make_unique<SqliteMemoryHarness>(); }},
                          {"memory", [] { return std::make_unique<MemoryHarness>(); }}});
}
