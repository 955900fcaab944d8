#include "stele/timestamp.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <random>

#include "error_of.h"

namespace stele {
namespace {

constexpr std::int64_t first_micros = -62'135'596'800'000'000;
constexpr std::int64_t last_micros = 253'402'300'799'999'999;

TEST(Timestamp, ParsesEveryFormOfRfc3339) {
  struct Row {
    std::string_view text;
    std::int64_t micros;
    std::string_view printed;
  };
  for (const Row& row : {
           Row{"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"},
           Row{"1970-01-01T00:00:00.000001Z", 1, "1970-01-01T00:00:00.000001Z"},
           Row{"1969-12-31T23:59:59.999999Z", -1, "1969-12-31T23:59:59.999999Z"},
           Row{"1969-12-31T23:59:59Z", -1'000'000, "1969-12-31T23:59:59Z"},
           Row{"2026-03-01T08:15:00.250Z", 1'772'352'900'250'000, "2026-03-01T08:15:00.250Z"},
           Row{"2026-03-01T08:15:00.25Z", 1'772'352'900'250'000, "2026-03-01T08:15:00.250Z"},
           Row{"2026-03-01T08:15:00.2500000000000Z", 1'772'352'900'250'000, "2026-03-01T08:15:00.250Z"},
           Row{"2026-03-01T08:15:00.0Z", 1'772'352'900'000'000, "2026-03-01T08:15:00Z"},
           Row{"2026-03-01T08:15:00.2501Z", 1'772'352'900'250'100, "2026-03-01T08:15:00.250100Z"},
           Row{"2026-03-01t08:15:00z", 1'772'352'900'000'000, "2026-03-01T08:15:00Z"},
           Row{"2026-03-01 08:15:00Z", 1'772'352'900'000'000, "2026-03-01T08:15:00Z"},
           Row{"2026-03-01T08:15:00+00:00", 1'772'352'900'000'000, "2026-03-01T08:15:00Z"},
           Row{"2026-03-01T08:15:00-00:00", 1'772'352'900'000'000, "2026-03-01T08:15:00Z"},
           Row{"2026-03-01T10:15:00+02:00", 1'772'352'900'000'000, "2026-03-01T08:15:00Z"},
           Row{"2026-03-01T00:45:00.5-07:30", 1'772'352'900'500'000, "2026-03-01T08:15:00.500Z"},
           Row{"2026-02-28T20:15:00-12:00", 1'772'352'900'000'000, "2026-03-01T08:15:00Z"},
           Row{"2026-03-02T08:14:00+23:59", 1'772'352'900'000'000, "2026-03-01T08:15:00Z"},
           Row{"2024-02-29T00:00:00Z", 1'709'164'800'000'000, "2024-02-29T00:00:00Z"},
           Row{"2000-02-29T12:00:00Z", 951'825'600'000'000, "2000-02-29T12:00:00Z"},
           Row{"0001-01-01T00:00:00Z", first_micros, "0001-01-01T00:00:00Z"},
           Row{"0001-01-01T02:00:00+02:00", first_micros, "0001-01-01T00:00:00Z"},
           Row{"9999-12-31T23:59:59.999999Z", last_micros, "9999-12-31T23:59:59.999999Z"},
           Row{"9999-12-31T22:59:59.999999-01:00", last_micros, "9999-12-31T23:59:59.999999Z"},
       }) {
    const Timestamp time = Timestamp::parse(row.text);
    EXPECT_EQ(time.micros(), row.micros) << row.text;
    EXPECT_EQ(time.to_string(), row.printed) << row.text;
    EXPECT_EQ(Timestamp::parse(time.to_string()), time) << row.text;
  }
}

TEST(Timestamp, RefusesEverythingElse) {
  struct Row {
    std::string_view text;
    std::string_view words;
  };
  constexpr std::string_view malformed = "not an RFC 3339 time";
  for (const Row& row : {
           Row{"", malformed},
           Row{"now", malformed},
           Row{"2026-03-01", malformed},
           Row{"2026-03-01T08:15:00", malformed},         // no zone
           Row{"2026-03-01T08:15Z", malformed},           // no seconds
           Row{"2026-3-1T08:15:00Z", malformed},          // one digit
           Row{"26-03-01T08:15:00Z", malformed},          // two-digit year
           Row{"02026-03-01T08:15:00Z", malformed},       // five-digit year
           Row{"+2026-03-01T08:15:00Z", malformed},       // a sign
           Row{"-001-03-01T08:15:00Z", malformed},        //
           Row{"2026/03/01T08:15:00Z", malformed},        //
           Row{"2026-03-01_08:15:00Z", malformed},        //
           Row{"2026-03-01T08.15.00Z", malformed},        //
           Row{"20260301T081500Z", malformed},            // ISO 8601, but not RFC 3339
           Row{"2026-03-01T08:15:00.Z", malformed},       // a point without digits
           Row{"2026-03-01T08:15:00,250Z", malformed},    // a comma
           Row{"2026-03-01T08:15:00+0200", malformed},    // no colon
           Row{"2026-03-01T08:15:00+02", malformed},      //
           Row{"2026-03-01T08:15:00+2:00", malformed},    //
           Row{"2026-03-01T08:15:00 Z", malformed},       //
           Row{" 2026-03-01T08:15:00Z", malformed},       //
           Row{"2026-03-01T08:15:00Z ", malformed},       //
           Row{"2026-03-01T08:15:00ZZ", malformed},       //
           Row{"2026-03-01T08:15:00Z+00:00", malformed},  //
           Row{"2026-03-01T08:15:00CET", malformed},      //
           Row{"2026-03-01T08:15:00-", malformed},        //
           Row{std::string_view("2026-03-01T08:15:00Z\0", 21), malformed},
           Row{"2026-13-01T08:15:00Z", "date does not exist"},
           Row{"2026-00-01T08:15:00Z", "date does not exist"},
           Row{"2026-01-00T08:15:00Z", "date does not exist"},
           Row{"2026-01-32T08:15:00Z", "date does not exist"},
           Row{"2026-04-31T08:15:00Z", "date does not exist"},
           Row{"2026-02-29T08:15:00Z", "date does not exist"},
           Row{"1900-02-29T08:15:00Z", "date does not exist"},
           Row{"2026-03-01T24:00:00Z", "time of day does not exist"},
           Row{"2026-03-01T08:60:00Z", "time of day does not exist"},
           Row{"2026-03-01T08:15:61Z", "time of day does not exist"},
           Row{"2016-12-31T23:59:60Z", "leap second"},
           Row{"2026-03-01T08:15:00+24:00", "offset"},
           Row{"2026-03-01T08:15:00+01:60", "offset"},
           Row{"2026-03-01T08:15:00.0000001Z", "beyond microseconds"},
           Row{"2026-03-01T08:15:00.12345670000001Z", "beyond microseconds"},
           Row{"0000-12-31T23:59:59Z", "between the years 1 and 9999"},
           Row{"0001-01-01T00:00:00+00:01", "between the years 1 and 9999"},
           Row{"9999-12-31T23:59:59-00:01", "between the years 1 and 9999"},
       }) {
    SCOPED_TRACE(std::string(row.text));
    EXPECT_ERROR(Timestamp::parse(row.text), ErrorCode::invalid_argument, row.words);
  }
}

TEST(Timestamp, HoldsItsRangeAndNoMore) {
  EXPECT_EQ(Timestamp::from_micros(first_micros).micros(), first_micros);
  EXPECT_EQ(Timestamp::from_micros(last_micros).micros(), last_micros);
  for (const std::int64_t micros : {first_micros - 1, last_micros + 1, std::numeric_limits<std::int64_t>::min(),
                                    std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_ERROR(Timestamp::from_micros(micros), ErrorCode::invalid_argument, "between the years 1 and 9999");
  }
}

TEST(Timestamp, DefaultsToTheEpochAndCompares) {
  EXPECT_EQ(Timestamp().micros(), 0);
  EXPECT_LT(Timestamp::from_micros(-1), Timestamp());
  EXPECT_LT(Timestamp(), Timestamp::from_micros(1));
}

TEST(Timestamp, NowIsTheClock) {
  using namespace std::chrono;
  const auto clock = [] { return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count(); };
  const std::int64_t before = clock();
  const Timestamp now = Timestamp::now();
  EXPECT_GE(now.micros(), before);
  EXPECT_LE(now.micros(), clock());
}

TEST(Timestamp, PrintsWhatItParses) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<std::int64_t> any(first_micros, last_micros);
  for (int i = 0; i < 20'000; ++i) {
    std::int64_t micros = any(random);
    if (i % 3 == 1) micros = micros / 1000 * 1000;
    if (i % 3 == 2) micros = micros / 1'000'000 * 1'000'000;
    const Timestamp time = Timestamp::from_micros(micros);
    const std::string text = time.to_string();
    ASSERT_EQ(Timestamp::parse(text), time) << text;
    // The fewest digits of none, three and six that are exact.
    const std::size_t size = micros % 1'000'000 == 0 ? 20 : micros % 1000 == 0 ? 24 : 27;
    ASSERT_EQ(text.size(), size) << text;
  }
}

}  // namespace
}  // namespace stele
