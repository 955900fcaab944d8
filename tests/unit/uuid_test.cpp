#include "stele/uuid.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "uuid_v7.h"

namespace stele {
namespace {

std::uint64_t milliseconds_of(const Uuid& id) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 6; ++i) value = value << 8 | id.bytes()[i];
  return value;
}

int variant_of(const Uuid& id) {
  return id.bytes()[8] >> 6;
}

TEST(Uuid, ParsesAndPrintsInLowerCase) {
  const auto id = Uuid::parse("0191e7C3-9ABC-7def-8001-0203AbCdEf00");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->to_string(), "0191e7c3-9abc-7def-8001-0203abcdef00");
  const Uuid::Bytes bytes{0x01, 0x91, 0xe7, 0xc3, 0x9a, 0xbc, 0x7d, 0xef,
                          0x80, 0x01, 0x02, 0x03, 0xab, 0xcd, 0xef, 0x00};
  EXPECT_EQ(id->bytes(), bytes);
  EXPECT_EQ(id->version(), 7);
  EXPECT_FALSE(id->is_nil());
}

TEST(Uuid, NilIsTheDefault) {
  EXPECT_TRUE(Uuid().is_nil());
  EXPECT_EQ(Uuid().to_string(), "00000000-0000-0000-0000-000000000000");
  EXPECT_EQ(Uuid::parse("00000000-0000-0000-0000-000000000000"), Uuid());
  Uuid::Bytes last{};
  last[15] = 1;
  EXPECT_FALSE(Uuid(last).is_nil());
}

TEST(Uuid, RefusesWhatIsNoUuid) {
  for (const std::string_view text : {
           "", "0191e7c3",
           "0191e7c39abc7def80010203abcdef00",         // no dashes
           "{0191e7c3-9abc-7def-8001-0203abcdef00}",   // braces
           "0191e7c3-9abc-7def-8001-0203abcdef0",      // one short
           "0191e7c3-9abc-7def-8001-0203abcdef000",    // one long
           "0191e7c3-9abc-7def-8001-0203abcdef0g",     // no digit
           "0191e7c3-9abc-7def-80010-203abcdef00",     // a dash one late
           "0191e7c39-abc-7def-8001-0203abcdef00",     // a dash one early
           "0191e7c3 9abc 7def 8001 0203abcdef00",     // spaces
           " 0191e7c3-9abc-7def-8001-0203abcdef0",     // a space before
           "0191e7c3-9abc-7def-8001-0203abcdef0\n",    // a line end
           "0191e7c3-9abc-7def-8001-0203abcd-f00",     // a dash too many
           "+191e7c3-9abc-7def-8001-0203abcdef00",     // a sign
           "0x91e7c3-9abc-7def-8001-0203abcdef00",     // a prefix
           "urn:uuid:0191e7c3-9abc-7def-8001-0203abc"  // 36 characters of something else
       }) {
    EXPECT_FALSE(Uuid::parse(text)) << text;
  }
  std::string with_nul = "0191e7c3-9abc-7def-8001-0203abcdef00";
  with_nul[20] = '\0';
  EXPECT_FALSE(Uuid::parse(with_nul));
}

TEST(Uuid, ComparesByteByByte) {
  const Uuid a = *Uuid::parse("00000000-0000-0000-0000-0000000000ff");
  const Uuid b = *Uuid::parse("00000000-0000-0000-0000-000000000100");
  const Uuid c = *Uuid::parse("80000000-0000-0000-0000-000000000000");
  EXPECT_LT(a, b);
  EXPECT_LT(b, c);  // Bytes are without sign.
  EXPECT_EQ(a, *Uuid::parse("00000000-0000-0000-0000-0000000000FF"));
}

TEST(Uuid, HashesTellIdsOfOneMillisecondApart) {
  std::set<std::size_t> hashes;
  for (int i = 0; i < 1000; ++i) hashes.insert(std::hash<Uuid>()(Uuid::v7()));
  EXPECT_GE(hashes.size(), 999U);
}

TEST(UuidV7, HasTimeVersionAndVariant) {
  const auto now = [] {
    using namespace std::chrono;
    return static_cast<std::uint64_t>(duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
  };
  const std::uint64_t before = now();
  const Uuid id = Uuid::v7();
  EXPECT_EQ(id.version(), 7);
  EXPECT_EQ(variant_of(id), 2);
  EXPECT_GE(milliseconds_of(id), before);
  // Other tests of this process may have made so many ids that the counter has run ahead of the clock.
  EXPECT_LE(milliseconds_of(id), now() + 1000);
}

TEST(UuidV7, LayoutIsThatOfTheRfc) {
  // RFC 9562, A.6: 1645557742000 ms, rand_a CC3, rand_b 18C4DC0C0C07398F.
  EXPECT_EQ(detail::make_uuid_v7(0x017F22E279B0U, 0x0CC3U, 0x18C4DC0C0C07398FU).to_string(),
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  // Bits too many reach neither the version nor the variant.
  EXPECT_EQ(detail::make_uuid_v7(0, 0xFFFFU, 0xFFFFFFFFFFFFFFFFU).to_string(), "00000000-0000-7fff-bfff-ffffffffffff");
}

TEST(UuidV7, RisesWithinAMillisecond) {
  detail::UuidV7Sequence sequence;
  // Falling random bits: only the counter can make the ids rise.
  std::uint64_t random = ~std::uint64_t{0};
  const auto falling = [&] { return random--; };
  Uuid last = sequence.next(1000, falling);
  EXPECT_EQ(milliseconds_of(last), 1000U);
  for (int i = 0; i < 100'000; ++i) {
    const Uuid next = sequence.next(1000, falling);
    ASSERT_LT(last, next) << i;
    ASSERT_EQ(next.version(), 7);
    ASSERT_EQ(variant_of(next), 2);
    last = next;
  }
  // The counter has 12 bits, so it ran over into the milliseconds, and not more often than it had to.
  EXPECT_GT(milliseconds_of(last), 1000U);
  EXPECT_LE(milliseconds_of(last), 1000U + 100'000 / 2048 + 1);
}

TEST(UuidV7, RisesWhenTheClockStepsBack) {
  detail::UuidV7Sequence sequence;
  std::uint64_t random = ~std::uint64_t{0};
  const auto falling = [&] { return random--; };
  Uuid last = sequence.next(5'000'000, falling);
  for (std::uint64_t now : {4'999'999U, 4'000'000U, 1U, 0U, 4'999'998U, 5'000'000U}) {
    for (int i = 0; i < 3000; ++i) {
      const Uuid next = sequence.next(now, falling);
      ASSERT_LT(last, next) << now;
      last = next;
    }
  }
  // When the clock has caught up, its time is used again.
  const Uuid later = sequence.next(6'000'000, falling);
  EXPECT_LT(last, later);
  EXPECT_EQ(milliseconds_of(later), 6'000'000U);
}

TEST(UuidV7, TwoThatStartInOneMillisecondDiffer) {
  detail::UuidV7Sequence one;
  detail::UuidV7Sequence two;
  std::uint64_t random = 0x123456789ABCDEFU;
  const auto next = [&] { return random = random * 6364136223846793005U + 1442695040888963407U; };
  EXPECT_NE(one.next(1000, next), two.next(1000, next));
}

TEST(UuidV7, RisesForOneThread) {
  Uuid last = Uuid::v7();
  for (int i = 0; i < 100'000; ++i) {
    const Uuid next = Uuid::v7();
    ASSERT_LT(last, next);
    last = next;
  }
}

TEST(UuidV7, IsUniqueAndRisesAcrossThreads) {
  constexpr std::size_t threads = 8;
  constexpr std::size_t each = 20'000;
  std::vector<std::vector<Uuid>> made(threads);
  {
    std::vector<std::thread> running;
    for (std::vector<Uuid>& ids : made) {
      running.emplace_back([&ids] {
        ids.reserve(each);
        for (std::size_t i = 0; i < each; ++i) ids.push_back(Uuid::v7());
      });
    }
    for (std::thread& thread : running) thread.join();
  }
  std::unordered_set<Uuid> all;
  for (const std::vector<Uuid>& ids : made) {
    ASSERT_EQ(ids.size(), each);
    EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
    all.insert(ids.begin(), ids.end());
  }
  EXPECT_EQ(all.size(), threads * each);
}

TEST(UuidV7, ForkedChildrenMakeOtherIds) {
  static_cast<void>(Uuid::v7());  // So that there is a state to inherit.
  constexpr std::size_t count = 200;
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  const auto make = [] {
    std::vector<Uuid> ids;
    for (std::size_t i = 0; i < count; ++i) ids.push_back(Uuid::v7());
    return ids;
  };
  if (child == 0) {
    const std::vector<Uuid> ids = make();
    const ssize_t size = static_cast<ssize_t>(count * sizeof(Uuid));
    ::_exit(::write(fds[1], ids.data(), count * sizeof(Uuid)) == size ? 0 : 1);
  }
  const std::vector<Uuid> mine = make();
  ::close(fds[1]);
  std::vector<Uuid> theirs(count);
  std::size_t got = 0;
  while (got < count * sizeof(Uuid)) {
    const ssize_t read = ::read(fds[0], reinterpret_cast<char*>(theirs.data()) + got, count * sizeof(Uuid) - got);
    if (read <= 0) break;
    got += static_cast<std::size_t>(read);
  }
  ::close(fds[0]);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 0);
  ASSERT_EQ(got, count * sizeof(Uuid));

  // Counters may be the same; the 62 random bits must not be.
  std::set<std::vector<std::uint8_t>> random_parts;
  for (const std::vector<Uuid>* ids : {&mine, &std::as_const(theirs)}) {
    for (const Uuid& id : *ids) random_parts.emplace(id.bytes().begin() + 8, id.bytes().end());
  }
  EXPECT_EQ(random_parts.size(), 2 * count);
}

TEST(UuidV7, ForkWhileThreadsMakeIdsDoesNotHang) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer's own runtime may hang in a child that was forked while threads ran";
#endif
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (int i = 0; i < 2; ++i) {
    busy.emplace_back([&stop] {
      while (!stop.load()) static_cast<void>(Uuid::v7());
    });
  }
  int finished = 0;
  for (int i = 0; i < 50; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(20);  // A child that hangs is killed, and counted as such.
      static_cast<void>(Uuid::v7());
      ::_exit(0);
    }
    int status = -1;
    if (child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0) ++finished;
  }
  stop = true;
  for (std::thread& thread : busy) thread.join();
  EXPECT_EQ(finished, 50);
}

}  // namespace
}  // namespace stele
