// Catch2 version 3 under the name and with the names of version 2.
#pragma once

#include <catch2/catch_all.hpp>

using Catch::Approx;
