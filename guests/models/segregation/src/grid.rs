//! Who lives where, and how many neighbours of each kind every cell has.

/// An empty cell; the kinds are 1, 2, and so on.
pub(crate) const EMPTY: u8 = 0;
/// How many cells touch a cell.
pub(crate) const NEIGHBOURS: usize = 8;

/// A torus of cells, row after row. Counts of neighbours are kept up to date by whoever moves, so that
/// whether an agent is content is two look-ups: agents are asked at every step, but few of them move.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grid {
    width: usize,
    height: usize,
    cells: Vec<u8>,
    /// For each cell, four bits a figure: in the lowest, how many neighbours it has; above them, how many of each
    /// kind; in the highest, who lives there, as in `cells`.
    near: Vec<u64>,
}

/// Bits of a figure in [`Grid::near`].
const FIGURE: u32 = 4;
/// Where it stands there who lives in the cell.
const OWN: u32 = 60;

/// How many neighbours a cell has, and how many of them are of the kind that lives there: a number for both.
pub(crate) fn mix(near: u8, alike: u8) -> u8 {
    near << 4 | alike
}

/// What one neighbour of a kind adds to a cell.
fn one(kind: u8) -> u64 {
    1 | 1 << (FIGURE * u32::from(kind))
}

impl Grid {
    /// A grid of these cells, `width * height` of them, each empty or of a kind up to 8. Sides are at least 3, or
    /// a cell would be its own neighbour.
    pub(crate) fn new(width: usize, height: usize, cells: Vec<u8>) -> Self {
        let near = cells.iter().map(|kind| u64::from(*kind) << OWN).collect();
        let mut grid = Self { width, height, cells, near };
        for at in 0..grid.cells.len() {
            if grid.cells[at] != EMPTY {
                grid.count(at, one(grid.cells[at]));
            }
        }
        grid
    }

    pub(crate) fn cells(&self) -> &[u8] {
        &self.cells
    }

    /// The [`mix`] of a cell. Of an empty one: all neighbours count as alike.
    #[inline]
    pub(crate) fn surroundings(&self, at: usize) -> u8 {
        let cell = self.near[at];
        let alike = cell >> (FIGURE * (cell >> OWN) as u32);
        mix(cell as u8 & 15, alike as u8 & 15)
    }

    /// Moves who lives at `from` to the empty cell `to`.
    pub(crate) fn relocate(&mut self, from: usize, to: usize) {
        let kind = std::mem::replace(&mut self.cells[from], EMPTY);
        self.cells[to] = kind;
        let own = u64::from(kind) << OWN;
        self.near[from] -= own;
        self.near[to] += own;
        self.count(from, one(kind).wrapping_neg());
        self.count(to, one(kind));
    }

    /// Adds `change` to what the neighbours of `at` count. No figure leaves its bits: there are eight neighbours.
    fn count(&mut self, at: usize, change: u64) {
        for neighbour in self.neighbours(at) {
            let cell = &mut self.near[neighbour];
            *cell = cell.wrapping_add(change);
        }
    }

    /// The cells around a cell; beyond an edge is the opposite one.
    fn neighbours(&self, at: usize) -> [usize; NEIGHBOURS] {
        let (row, column) = (at / self.width, at % self.width);
        let above = if row == 0 { self.height - 1 } else { row - 1 } * self.width;
        let below = if row + 1 == self.height { 0 } else { row + 1 } * self.width;
        let beside = row * self.width;
        let left = if column == 0 { self.width - 1 } else { column - 1 };
        let right = if column + 1 == self.width { 0 } else { column + 1 };
        [
            above + left,
            above + column,
            above + right,
            beside + left,
            beside + right,
            below + left,
            below + column,
            below + right,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_stay_those_of_a_fresh_grid(
            width in 3_usize..9,
            height in 3_usize..9,
            seed in proptest::collection::vec(0_u8..4, 81),
            moves in proptest::collection::vec((0_usize..81, 0_usize..81), 0..40),
        ) {
            let cells = seed[..width * height].to_vec();
            let mut grid = Grid::new(width, height, cells);
            for (from, to) in moves {
                let (from, to) = (from % (width * height), to % (width * height));
                if grid.cells[from] != EMPTY && grid.cells[to] == EMPTY {
                    grid.relocate(from, to);
                }
            }
            let fresh = Grid::new(width, height, grid.cells.clone());
            prop_assert_eq!(grid, fresh);
        }
    }

    #[test]
    fn the_edges_meet() {
        let mut cells = vec![EMPTY; 12];
        cells[0] = 1;
        cells[11] = 1;
        cells[3] = 2;
        let grid = Grid::new(4, 3, cells);
        assert_eq!(grid.surroundings(0), mix(2, 1));
    }
}
