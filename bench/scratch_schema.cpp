#include "scratch_schema.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "floor_postgres.h"
#include "stele/backends.h"

namespace stele::bench {
namespace {

std::string next_name() {
  static std::atomic<int> count{0};
  return "stele_bench_" + std::to_string(getpid()) + "_" + std::to_string(++count);
}

}  // namespace

std::string postgres_url() {
  const char* const url = std::getenv("STELE_TEST_POSTGRES_URL");
  return url != nullptr ? url : "";
}

std::string postgres_store_url(const std::string& schema) {
  std::string url = postgres_url();
  url += url.find('?') == std::string::npos ? '?' : '&';
  return url + "schema=" + schema + "&connections=40";
}

void drop_schema(const std::string& schema) {
  const FloorPostgres connection("public");
  connection.run("DROP SCHEMA IF EXISTS " + schema + " CASCADE");
}

ScratchSchema::ScratchSchema() : name_(next_name()) {
  stele::open(postgres_store_url(name_), {.migrate = true}).close();
}

ScratchSchema::~ScratchSchema() {
  drop_schema(name_);
}

EventStore ScratchSchema::open_store() const {
  return stele::open(postgres_store_url(name_));
}

}  // namespace stele::bench
