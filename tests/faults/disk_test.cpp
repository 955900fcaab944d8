// A file system that takes no more: a clear error, nothing in part, and everything acknowledged still there.

#include <gtest/gtest.h>

#include <sstream>

#include "stele/backends.h"
#include "worker_process.h"

namespace stele::testing {
namespace {

TEST(Disk, G4_G12_a_write_that_fails_leaves_the_store_whole) {
  const TemporaryFolder folder;
  EventStore::open(default_registry(), folder.url(), {.migrate = true});
  WorkerProcess worker({"fill", folder.url(), "one", std::to_string(600 * 1024)});
  ASSERT_EQ(worker.wait(), 0);
  const std::vector<std::string> lines = worker.lines();
  ASSERT_GE(lines.size(), 2u);
  EXPECT_TRUE(lines.back().starts_with("FAILED io") || lines.back().starts_with("FAILED disk_full")) << lines.back();

  std::int64_t last = 0;
  for (const std::string& line : lines) {
    std::istringstream words(line);
    std::string word;
    std::string stream;
    std::int64_t first = 0;
    words >> word >> stream >> first;
    if (word == "ACK") words >> last;
  }
  EventStore store = stele::open(folder.url());
  const Version version = store.stream_version(StreamKey("fill", "one"));
  EXPECT_GE(version.value(), last);
  EXPECT_EQ(version.value() % 20, 0) << "a batch of 20 is there in part";
  EXPECT_TRUE(store.verify().ok());
  NewEvent more;
  more.type = "More";
  EXPECT_TRUE(store.append(StreamKey("fill", "one"), ExpectedVersion::exactly(version), {more}).ok());
}

}  // namespace
}  // namespace stele::testing
