// The base of drivers that change a little of another one.
#pragma once

#include "stele/driver/forwarding_driver.h"

namespace stele::testing {

using driver::ForwardingDriver;
using driver::ForwardingTransaction;

}  // namespace stele::testing
